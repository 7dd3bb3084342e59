// Each product's weight is taken apart into values and scales, or it is said what is in the way.
// What slices and joins a weight that two products read is built twice; --epi-eliminate-common and
// --exec-hoist-weights make one of it. Cost: linear in the number of operations.
#include "dialects/ep/Ep.h"
#include "passes/PassRemarks.h"
#include "passes/Refusal.h"
#include "passes/graph/WeightExpressions.h"
#include "passes/quant/Passes.h"
#include "passes/quant/QuantizedWeights.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

namespace epigraph {
#define GEN_PASS_DEF_FOLDDEQUANTIZEPASS
#include "passes/quant/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fold-dequantize";

/// Whether `value` is made of a dequantized weight, among others.
bool readsDequantized(Value value) {
  Operation *op = value.getDefiningOp();
  return op && (isa<epi::DequantizeOp>(op) || llvm::any_of(op->getOperands(), readsDequantized));
}

/// Erases `value` and what it alone was made of.
void eraseIfDead(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !op->use_empty())
    return;
  llvm::SmallSetVector<Value, 4> operands(op->operand_begin(), op->operand_end());
  op->erase();
  for (Value operand : operands)
    eraseIfDead(operand);
}

struct FoldDequantizePass : epigraph::impl::FoldDequantizePassBase<FoldDequantizePass> {
  void runOnOperation() override {
    numFolded = numRetiled = numDequantized = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(foldAll(function)))
        return signalPassFailure();
    reportStatistics(*this, getOperation())
        << metric("folded", numFolded) << metric("retiled", numRetiled)
        << metric("dequantized", numDequantized);
  }

  LogicalResult foldAll(func::FuncOp function) {
    SmallVector<Operation *> products;
    for (Operation &op : function.getOps())
      if (isa<epi::LinearOp, epi::GroupedLinearOp>(op))
        products.push_back(&op);
    for (Operation *product : products) {
      auto linear = dyn_cast<epi::LinearOp>(product);
      if (failed(linear ? fold(linear) : fold(cast<epi::GroupedLinearOp>(product))))
        return failure();
    }
    for (Operation &op : function.getOps())
      reportDequantized(op);
    return success();
  }

  template <typename Op> LogicalResult fold(Op product) {
    Value weight = product.getW();
    if (!isWeightExpression(weight) || !readsDequantized(weight))
      return success();
    QuantizedObstacle obstacle = findQuantizedObstacle(weight);
    if (obstacle.cutsBlock)
      return refuseCut(product, cast<ep::LocalShardOp>(obstacle.op));
    if (obstacle.op) { // reportDequantized says that it stays
      reportMissed(kPass, product, "its weight is dequantized for it: " + obstacle.reason);
      return success();
    }
    OpBuilder builder(product);
    QuantizedWeight quantized = takeApart(builder, weight);
    product.getWMutable().assign(quantized.values);
    product.getWScaleMutable().assign(quantized.scales);
    eraseIfDead(weight);
    ++numFolded;
    numRetiled += quantized.isRetiled;
    return success();
  }

  LogicalResult refuseCut(Operation *product, ep::LocalShardOp shard) {
    auto part = cast<RankedTensorType>(shard.getType());
    return refusal(
        product->emitOpError("has an FP8 weight of which each of ")
            << shard.getParts() << " ranks would hold " << part.getDimSize(shard.getDim())
            << (static_cast<int64_t>(shard.getDim()) == part.getRank() - 1 ? " inputs" : " outputs")
            << "; that cuts 128x128 blocks, which have one scale each. Choose a number "
               "of ranks (--tp) whose parts are multiples of 128, or divide 128",
        "E0306");
  }

  /// Says which operands of `op` the weight program dequantizes.
  void reportDequantized(Operation &op) {
    if (isWeightOp(&op))
      return;
    for (Value operand : op.getOperands()) {
      if (!isWeightExpression(operand) || !readsDequantized(operand))
        continue;
      ++numDequantized;
      if (!isa<epi::LinearOp, epi::GroupedLinearOp>(op))
        reportMissed(kPass, &op, "it takes no scales: its FP8 weight is dequantized for it");
    }
  }

  size_t numFolded = 0, numRetiled = 0, numDequantized = 0;
};

} // namespace
