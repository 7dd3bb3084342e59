// Anchored at the product: one factor must be a silu that nothing else uses. If its operand and the
// other factor are parts of one split, the split is cloned into the group, which takes the whole
// value; the split outside stays if others use it. Cost: linear.
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSESWIGLUPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-swiglu";

/// The silu among the factors of `mul`, if nothing else uses it, or null.
epi::SiluOp matchGate(epi::MulOp mul) {
  auto silu = mul.getLhs().getDefiningOp<epi::SiluOp>();
  if (!silu)
    silu = mul.getRhs().getDefiningOp<epi::SiluOp>();
  if (silu && !silu->hasOneUse()) {
    reportMissed(kPass, mul, "the silu has other uses");
    return {};
  }
  return silu;
}

struct FuseSwigluPass : epigraph::impl::FuseSwigluPassBase<FuseSwigluPass> {
  void runOnOperation() override {
    numGroups = numOps = 0;
    SmallVector<epi::MulOp> products;
    for (auto function : getOperation().getOps<func::FuncOp>())
      llvm::append_range(products, function.getOps<epi::MulOp>());
    for (epi::MulOp mul : products)
      if (epi::SiluOp silu = matchGate(mul))
        fuse(silu, mul);
    reportStatistics(*this, getOperation()) << metric("groups", numGroups) << metric("ops", numOps);
  }

  void fuse(epi::SiluOp silu, epi::MulOp mul) {
    Value up = mul.getLhs() == silu.getResult() ? mul.getRhs() : mul.getLhs();
    SmallVector<Operation *> members;
    auto split = up.getDefiningOp<epi::SplitOp>();
    if (split && silu.getX().getDefiningOp() == split)
      members.push_back(split);
    members.append({silu, mul});

    OpBuilder builder(mul);
    auto group = formFusionGroup(builder, "swiglu", members, mul.getResult());
    mul.replaceAllUsesWith(group.getResult(0));
    for (Operation *op : llvm::reverse(members))
      if (op->use_empty())
        op->erase();
    ++numGroups;
    numOps += members.size();
  }

  size_t numGroups = 0, numOps = 0;
};

} // namespace
