// Anchored at the norm: its operand must be an add, and adds that only feed this one are taken
// along (the routed and the shared experts of a layer, then the residual stream). The group stands
// where the last add stood, since the sum may be used before the norm; the norm's weight is moved
// up to there. Cost: linear.
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/Passes.h"
#include "passes/graph/WeightExpressions.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSERESIDUALNORMPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-residual-norm";

/// `add` and the adds that only feed it, operands first.
void collectAdds(epi::AddOp add, SmallVectorImpl<Operation *> &ops) {
  for (Value operand : add->getOperands())
    if (auto inner = operand.getDefiningOp<epi::AddOp>();
        inner && inner->hasOneUse() && inner->getBlock() == add->getBlock())
      collectAdds(inner, ops);
  ops.push_back(add);
}

/// The sum that `norm` takes and can be fused with, or null.
epi::AddOp matchSum(epi::RmsNormOp norm) {
  auto add = norm.getX().getDefiningOp<epi::AddOp>();
  if (!add || add->getBlock() != norm->getBlock())
    return {};
  Operation *weight = norm.getW().getDefiningOp();
  if (!isWeightExpression(norm.getW()) && weight && weight->getBlock() == add->getBlock() &&
      add->isBeforeInBlock(weight)) {
    reportMissed(kPass, norm, "the weight of the norm is computed after the sum");
    return {};
  }
  return add;
}

struct FuseResidualNormPass : epigraph::impl::FuseResidualNormPassBase<FuseResidualNormPass> {
  void runOnOperation() override {
    numGroups = numOps = 0;
    SmallVector<epi::RmsNormOp> norms;
    for (auto function : getOperation().getOps<func::FuncOp>())
      llvm::append_range(norms, function.getOps<epi::RmsNormOp>());
    for (epi::RmsNormOp norm : norms)
      if (epi::AddOp add = matchSum(norm))
        fuse(add, norm);
    reportStatistics(*this, getOperation()) << metric("groups", numGroups) << metric("ops", numOps);
  }

  void fuse(epi::AddOp add, epi::RmsNormOp norm) {
    if (isWeightExpression(norm.getW()))
      moveWeightBefore(norm.getW(), add);
    SmallVector<Operation *> members;
    collectAdds(add, members);
    members.push_back(norm);
    SmallVector<Value> results;
    if (!add->hasOneUse())
      results.push_back(add.getResult());
    results.push_back(norm.getResult());

    OpBuilder builder(add);
    auto group = formFusionGroup(builder, "add_rms_norm", members, results);
    for (auto [old, value] : llvm::zip_equal(results, group.getResults()))
      old.replaceAllUsesWith(value);
    for (Operation *op : llvm::reverse(members))
      op->erase();
    ++numGroups;
    numOps += members.size();
  }

  size_t numGroups = 0, numOps = 0;
};

} // namespace
