// Verifiers of the structure operations, and the dialect's generated definitions.
#include "dialects/epi/Epi.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace epigraph::epi;

#define GET_OP_CLASSES
#include "dialects/epi/EpiOps.cpp.inc"

LogicalResult WeightOp::verify() {
  if (!cast<RankedTensorType>(getResult().getType()).hasStaticShape()) // (C1)
    return emitOpError("must have a static shape, got ") << getResult().getType();
  return success();
}

LogicalResult WeightStackOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  if (!type.hasStaticShape() || type.getRank() < 2) // (C1)
    return emitOpError("must have a static shape of rank 2 or more, got ") << type;
  if (getPattern().count("{}") != 1) // (C2)
    return emitOpError("pattern must hold {} exactly once, got \"") << getPattern() << "\"";
  return success();
}

std::string WeightStackOp::getName(int64_t index) {
  auto [before, after] = getPattern().split("{}");
  return (before + Twine(index) + after).str();
}

LogicalResult FusedOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes()) // (C1)
    return emitOpError("block arguments must have the types of the operands");
  if (block.getTerminator()->getOperandTypes() != getResultTypes()) // (C2)
    return emitOpError("yielded values must have the types of the results");
  return success();
}
