#include "codegen/target/Elementwise.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph {

bool isElementwise(Operation *op) {
  return isa_and_nonnull<epi::AddOp, epi::MulOp, epi::SiluOp, epi::SigmoidOp, epi::ClampedSwigluOp,
                         epi::CastOp>(op);
}

epi::Broadcast broadcastOf(OpOperand &operand) {
  if (operand.getOperandNumber() == 0)
    return epi::Broadcast::None;
  return llvm::TypeSwitch<Operation *, epi::Broadcast>(operand.getOwner())
      .Case<epi::AddOp, epi::MulOp>([](auto op) { return op.getBroadcast(); })
      .Case([](epi::RmsNormOp) { return epi::Broadcast::Columns; })
      .Default(epi::Broadcast::None);
}

} // namespace epigraph
