// Anchored at the quantization: the operation, or group, that makes its operand becomes a group
// with the quantization in it, and so do heads that it reads one after the other. A value that
// nothing else reads is not stored wide any more. Cost: linear.
#include "dialects/epi/Scales.h"
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

/// Whether kernels can have all columns of a head that share scales: a head's matrix is no larger
/// than the fast memory of a block holds beside other things, in pieces of 64 bytes along its
/// depth.
bool hasWholeBlocks(epi::HeadLinearOp op) {
  constexpr int64_t kMostBytes = 128 << 10, kPiece = 64;
  auto type = cast<RankedTensorType>(op.getW().getType());
  const int64_t columns = type.getDimSize(1), bytes = type.getDimSize(2) * 2;
  return type.getElementType().isBF16() && columns % epi::kScaleBlock == 0 && bytes % kPiece == 0 &&
         columns * bytes <= kMostBytes;
}

/// The projection of heads whose rows, made flat, `quantize` alone reads, if it can be computed
/// with that; else null.
epi::HeadLinearOp matchHeads(epi::QuantizeOp quantize) {
  auto flat = quantize.getX().getDefiningOp<epi::ReshapeOp>();
  if (!flat || !flat->hasOneUse() || flat->getBlock() != quantize->getBlock())
    return nullptr;
  auto heads = flat.getX().getDefiningOp<epi::HeadLinearOp>();
  if (!heads || !heads->hasOneUse() || heads->getBlock() != quantize->getBlock() ||
      quantize.getBlock() != ArrayRef<int64_t>{1, epi::kScaleBlock})
    return nullptr;
  if (!hasWholeBlocks(heads)) {
    reportMissed(kPass, quantize, "the kernel of the heads has no whole blocks of a row");
    return nullptr;
  }
  return heads;
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
        if (auto heads = matchHeads(quantize))
          fuseHeads(quantize, heads);
        else if (Operation *producer = matchProducer(quantize))
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

  void fuseHeads(epi::QuantizeOp quantize, epi::HeadLinearOp heads) {
    numBytes += 2 * bytesOfRow(quantize.getX().getType());
    ++numGroups;
    Operation *flat = *heads->user_begin();
    OpBuilder builder(quantize);
    epi::FusedOp group = formFusionGroup(builder, "head_linear_quantize", {heads, flat, quantize},
                                         quantize.getResults());
    quantize.replaceAllUsesWith(group.getResults());
    for (Operation *op : {quantize.getOperation(), flat, heads.getOperation()})
      op->erase();
  }

  size_t numGroups = 0, numBytes = 0;
};

} // namespace
