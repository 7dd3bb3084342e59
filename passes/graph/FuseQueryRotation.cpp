// Anchored at the attention: the rotation that makes the last part of its queries, and nothing
// else, goes into a group with it. Cost: linear.
#include "dialects/epi/Epi.h"
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/Passes.h"
#include "passes/graph/RowGroup.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSEQUERYROTATIONPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-query-rotation";
/// Elements that a kernel turns at a time: a rotation is of a multiple of them.
constexpr int64_t kTurned = 16;

int64_t lastDim(Value value) { return cast<RankedTensorType>(value.getType()).getShape().back(); }

/// Why `attention` cannot rotate what `rope` does; empty if it can.
StringRef whyNot(epi::MlaAttentionOp attention, epi::RopeOp rope) {
  if (attention.getUp())
    return "attention of expanded keys and values reads rotated queries often";
  if (!rope->hasOneUse() || rope->getBlock() != attention->getBlock())
    return "something else reads the rotated queries";
  if (lastDim(rope.getTable()) != lastDim(rope.getX()) || lastDim(rope.getX()) % kTurned)
    return "it does not rotate whole heads of a multiple of 16 elements";
  return "";
}

struct FuseQueryRotationPass : epigraph::impl::FuseQueryRotationPassBase<FuseQueryRotationPass> {
  void runOnOperation() override {
    size_t numGroups = 0, numBytes = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (auto attention : llvm::to_vector(function.getOps<epi::MlaAttentionOp>())) {
        auto rope = attention.getQRope().getDefiningOp<epi::RopeOp>();
        if (!rope)
          continue;
        if (StringRef reason = whyNot(attention, rope); !reason.empty()) {
          reportMissed(kPass, rope, reason);
          continue;
        }
        ++numGroups;
        numBytes += 2 * bytesOfRow(rope.getType());
        fuse(rope, attention);
      }
    reportStatistics(*this, getOperation())
        << metric("groups", numGroups) << metric("row-bytes", numBytes);
  }

  void fuse(epi::RopeOp rope, epi::MlaAttentionOp attention) {
    OpBuilder builder(attention);
    epi::FusedOp group =
        formFusionGroup(builder, "rope_mla_attention", {rope, attention}, attention.getResult());
    attention.replaceAllUsesWith(group.getResult(0));
    attention.erase();
    rope.erase();
  }
};

} // namespace
