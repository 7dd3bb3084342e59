// A weight expression is a tree of a handful of operations, so it is walked again at each question
// rather than kept in an analysis that every rewrite would invalidate.
#include "passes/graph/WeightExpressions.h"

#include "dialects/ep/Ep.h"

using namespace mlir;

namespace epigraph {

bool isWeightLeaf(Operation *op) {
  return isa<epi::WeightOp, epi::WeightStackOp, epi::RopeTableOp, ep::ReplicaTableOp>(op);
}

bool isWeightOp(Operation *op) {
  return isWeightLeaf(op) ||
         isa<epi::CastOp, epi::DequantizeOp, epi::ConcatOp, epi::SplitOp, epi::ReshapeOp,
             epi::TransposeOp, ep::LocalExpertsOp, ep::LocalShardOp>(op);
}

bool isWeightExpression(Value value) {
  Operation *op = value.getDefiningOp();
  return op && isWeightOp(op) && llvm::all_of(op->getOperands(), isWeightExpression);
}

bool isQuantizedWeight(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<epi::ConcatOp, ep::LocalExpertsOp, ep::LocalShardOp>(op))
    return llvm::all_of(op->getOperands(), isQuantizedWeight);
  return isa_and_nonnull<epi::DequantizeOp>(op);
}

void moveWeightBefore(Value value, Operation *position) {
  Operation *op = value.getDefiningOp();
  if (op->getBlock() != position->getBlock() || op->isBeforeInBlock(position))
    return;
  for (Value operand : op->getOperands())
    moveWeightBefore(operand, position);
  op->moveBefore(position);
}

} // namespace epigraph
