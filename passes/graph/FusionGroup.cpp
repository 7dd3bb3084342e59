// Groups are isolated, so inputs are found first, as operands that no operation of the group
// defines.
#include "passes/graph/FusionGroup.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace epigraph {

epi::FusedOp formFusionGroup(OpBuilder &builder, StringRef name, ArrayRef<Operation *> ops,
                             ValueRange yielded) {
  llvm::SetVector<Value> inputs;
  for (Operation *op : ops)
    for (Value operand : op->getOperands())
      if (!llvm::is_contained(ops, operand.getDefiningOp()))
        inputs.insert(operand);

  auto locations = llvm::map_to_vector(ops, [](Operation *op) { return op->getLoc(); });
  auto group = epi::FusedOp::create(builder, builder.getFusedLoc(locations), yielded.getTypes(),
                                    name, inputs.getArrayRef());
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&group.getBody());
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, body->addArgument(input.getType(), input.getLoc()));
  for (Operation *op : ops)
    builder.clone(*op, mapping);
  auto results = llvm::map_to_vector(yielded, [&](Value value) { return mapping.lookup(value); });
  epi::YieldOp::create(builder, group.getLoc(), results);
  return group;
}

} // namespace epigraph
