// Anchored at the group: its one operand must be what a projection gives to nothing else, and all
// it does with it is to split it into equal parts and to work on these element by element. The
// projection sinks into it. Cost: linear.
#include "dialects/epi/Epi.h"
#include "dialects/epi/Scales.h"
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/Passes.h"
#include "passes/graph/RowGroup.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSEGATEDEPILOGUEPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-gated-epilogue";

/// Whether `split` gives equal parts of the last dimension of `value`.
bool splitsColumns(epi::SplitOp split, Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return split.getX() == value && static_cast<int64_t>(split.getDim()) == type.getRank() - 1 &&
         llvm::all_equal(split.getResultTypes());
}

/// Whether `group` does nothing but to split its only operand and to combine the parts.
bool combinesParts(epi::FusedOp group) {
  Block &body = group.getBody().front();
  if (body.getNumArguments() != 1)
    return false;
  for (Operation &op : body.without_terminator())
    if (auto split = dyn_cast<epi::SplitOp>(op)) {
      if (!splitsColumns(split, body.getArgument(0)))
        return false;
    } else if (!op.hasTrait<OpTrait::Elementwise>() && !isa<epi::AddOp, epi::MulOp>(op)) {
      return false;
    }
  return body.getArgument(0).hasOneUse() && isa<epi::SplitOp>(*body.getArgument(0).user_begin());
}

/// Whether `projection`, if its weight has scales, gives the parts that `group` combines in whole
/// blocks of them: then a tile has the same columns of all parts, with their own scales.
bool hasWholeBlocks(Operation *projection, epi::FusedOp group) {
  auto weight = cast<RankedTensorType>(projection->getOperand(1).getType());
  if (!isa<Float8E4M3FNType>(weight.getElementType()))
    return true;
  auto split = cast<epi::SplitOp>(*group.getBody().getArgument(0).user_begin());
  return cast<RankedTensorType>(split.getResult(0).getType()).getShape().back() %
             epi::kScaleBlock ==
         0;
}

/// The projection whose result `group` alone reads, or null.
Operation *matchProjection(epi::FusedOp group) {
  if (!combinesParts(group))
    return nullptr;
  Value input = group.getInputs().front();
  Operation *projection = input.getDefiningOp();
  if (!isa_and_nonnull<epi::LinearOp, epi::GroupedLinearOp>(projection) ||
      projection->getBlock() != group->getBlock())
    return nullptr;
  if (!input.hasOneUse()) {
    reportMissed(kPass, group, "something else reads what the projection gives");
    return nullptr;
  }
  if (!hasWholeBlocks(projection, group)) {
    reportMissed(kPass, group, "the parts cut blocks that share a scale");
    return nullptr;
  }
  return projection;
}

struct FuseGatedEpiloguePass : epigraph::impl::FuseGatedEpiloguePassBase<FuseGatedEpiloguePass> {
  void runOnOperation() override {
    numGroups = numBytes = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (auto group : llvm::to_vector(function.getOps<epi::FusedOp>()))
        if (Operation *projection = matchProjection(group))
          fuse(projection, group);
    reportStatistics(*this, getOperation())
        << metric("groups", numGroups) << metric("row-bytes", numBytes);
  }

  /// Moves `projection` into `group`, before what is there.
  void fuse(Operation *projection, epi::FusedOp group) {
    numBytes += 2 * bytesOfRow(projection->getResult(0).getType());
    ++numGroups;
    sinkIntoGroup(projection, group,
                  (projection->getName().stripDialect() + "_" + group.getName()).str());
  }

  size_t numGroups = 0, numBytes = 0;
};

} // namespace
