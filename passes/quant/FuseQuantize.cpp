// Anchored at the quantization: the operation, or group, that makes its operand becomes a group
// with the quantization in it. A value that nothing else reads is not stored wide any more. Cost:
// linear.
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/RowGroup.h"
#include "passes/quant/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSEQUANTIZEPASS
#include "passes/quant/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-quantize";

/// Whether a kernel around `op` has the columns of a row together, so that it can quantize them.
bool hasWholeBlocks(Operation *op) {
  return isRowOp(op) || isRowView(op) || isa<epi::LinearOp, epi::GroupedLinearOp>(op);
}

/// What `quantize` can be computed with, or null.
Operation *matchProducer(epi::QuantizeOp quantize) {
  Operation *op = quantize.getX().getDefiningOp();
  if (!op || op->getBlock() != quantize->getBlock() || isRowView(op))
    return nullptr;
  auto group = dyn_cast<epi::FusedOp>(op);
  bool fits = group ? llvm::all_of(group.getBody().front().without_terminator(),
                                   [](Operation &inner) { return hasWholeBlocks(&inner); })
                    : hasWholeBlocks(op);
  if (!fits)
    reportMissed(kPass, quantize, "the kernel that makes its operand has no whole blocks of a row");
  return fits ? op : nullptr;
}

/// `group` with the quantization of its result `index` in it: yields what others read, then the
/// quantized values and their scales.
void quantizeResult(epi::FusedOp group, unsigned index, epi::QuantizeOp quantize) {
  Operation *yield = group.getBody().front().getTerminator();
  OpBuilder builder(yield);
  auto inner = epi::QuantizeOp::create(builder, quantize.getLoc(), quantize->getResultTypes(),
                                       yield->getOperand(index), quantize.getBlockAttr());
  SmallVector<Value> yielded, replaced;
  for (auto [result, value] : llvm::zip_equal(group.getResults(), yield->getOperands()))
    if (!result.hasOneUse() || *result.user_begin() != quantize) {
      yielded.push_back(value);
      replaced.push_back(result);
    }
  llvm::append_range(yielded, inner.getResults());
  llvm::append_range(replaced, quantize.getResults());
  yield->setOperands(yielded);

  builder.setInsertionPoint(group);
  Location loc = builder.getFusedLoc({group.getLoc(), quantize.getLoc()});
  auto fused = epi::FusedOp::create(builder, loc, ValueRange(yielded).getTypes(),
                                    (group.getName() + "_quantize").str(), group.getInputs());
  fused.getBody().takeBody(group.getBody());
  for (auto [value, by] : llvm::zip_equal(replaced, fused.getResults()))
    value.replaceAllUsesWith(by);
  quantize.erase();
  group.erase();
}

struct FuseQuantizePass : epigraph::impl::FuseQuantizePassBase<FuseQuantizePass> {
  void runOnOperation() override {
    numGroups = numBytes = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (auto quantize : llvm::to_vector(function.getOps<epi::QuantizeOp>()))
        if (Operation *producer = matchProducer(quantize))
          fuse(quantize, producer);
    reportStatistics(*this, getOperation())
        << metric("groups", numGroups) << metric("row-bytes", numBytes);
  }

  void fuse(epi::QuantizeOp quantize, Operation *producer) {
    // Read back no more, and, if nothing else reads it, not written either.
    const int64_t bytes = bytesOfRow(quantize.getX().getType());
    numBytes += quantize.getX().hasOneUse() ? 2 * bytes : bytes;
    ++numGroups;
    auto group = dyn_cast<epi::FusedOp>(producer);
    if (!group)
      group = wrapInGroup(producer);
    quantizeResult(group, cast<OpResult>(quantize.getX()).getResultNumber(), quantize);
  }

  size_t numGroups = 0, numBytes = 0;
};

} // namespace
