// Anchored at the group of the permutation, from which the rows and the logits are followed back to
// a norm. The group sinks to where the permutation stands. Cost: linear.
#include "dialects/epi/Epi.h"
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/Passes.h"
#include "passes/graph/RowGroup.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSEROUTERPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-router";

/// What becomes one group.
struct Router {
  Operation *norm; ///< a norm, or a group that gives one
  epi::LinearOp projection;
  epi::FusedOp permutation;
};

/// The value that `group` yields as `result`.
Value yieldedBy(epi::FusedOp group, OpResult result) {
  return group.getBody().front().getTerminator()->getOperand(result.getResultNumber());
}

/// The only operation of this kind in `group`, or null.
template <typename Op> Op onlyIn(epi::FusedOp group) {
  auto all = group.getBody().front().getOps<Op>();
  return llvm::hasSingleElement(all) ? *all.begin() : Op();
}

/// What `group` is given for its argument `value`; null if it is none.
Value givenFor(epi::FusedOp group, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  return argument ? group.getInputs()[argument.getArgNumber()] : Value();
}

/// The norm that gives `rows`, or a group of what is computed row by row in which one does; or
/// null.
Operation *matchNorm(Value rows) {
  Operation *op = rows.getDefiningOp();
  auto group = dyn_cast_or_null<epi::FusedOp>(op);
  if (!group)
    return isa_and_nonnull<epi::RmsNormOp>(op) ? op : nullptr;
  const bool isByRows =
      llvm::all_of(group.getBody().front().without_terminator(), [](Operation &member) {
        return isa<epi::AddOp, epi::RmsNormOp, epi::QuantizeOp>(member);
      });
  auto norm = onlyIn<epi::RmsNormOp>(group);
  return isByRows && norm && yieldedBy(group, cast<OpResult>(rows)) == norm.getResult()
             ? group.getOperation()
             : nullptr;
}

/// Whether what reads `op` comes after `permutation`, but for `projection`.
bool canSink(Operation *op, const Router &router) {
  return llvm::all_of(op->getUsers(), [&](Operation *user) {
    Operation *here = op->getBlock()->findAncestorOpInBlock(*user);
    epi::FusedOp permutation = router.permutation;
    epi::LinearOp projection = router.projection;
    return here == projection || here == permutation || permutation->isBeforeInBlock(here);
  });
}

std::optional<Router> matchRouter(epi::FusedOp group) {
  auto permute = onlyIn<epi::PermuteOp>(group);
  auto route = onlyIn<epi::RouteOp>(group);
  if (!permute || !route || permute.getIds() != route.getIds())
    return std::nullopt;
  Value rows = givenFor(group, permute.getX()), logits = givenFor(group, route.getLogits());
  if (!rows || !logits)
    return std::nullopt;
  auto projection = logits.getDefiningOp<epi::LinearOp>();
  Operation *norm = matchNorm(rows);
  auto refuse = [&](StringRef reason) {
    reportMissed(kPass, group, reason);
    return std::nullopt;
  };
  if (!projection || projection.getXScale() || projection.getWScale())
    return refuse("the logits are not those of a projection in full precision");
  if (!norm || projection.getX() != rows)
    return refuse("what is projected to the logits is not the norm whose rows are ordered");
  Router router{norm, projection, group};
  const bool isHere =
      norm->getBlock() == group->getBlock() && projection->getBlock() == group->getBlock();
  if (!isHere || !projection->hasOneUse() || !canSink(norm, router))
    return refuse("something reads the norm or the logits before the rows are ordered");
  return router;
}

/// `op`, or what it is made of if it is a group.
SmallVector<Operation *> opened(Operation *op) {
  auto group = dyn_cast<epi::FusedOp>(op);
  return group ? openFusionGroup(group) : SmallVector<Operation *>{op};
}

std::string nameOf(Operation *op) {
  auto group = dyn_cast<epi::FusedOp>(op);
  return group ? group.getName().str() : op->getName().stripDialect().str();
}

struct FuseRouterPass : epigraph::impl::FuseRouterPassBase<FuseRouterPass> {
  void runOnOperation() override {
    numGroups = numBytes = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (auto group : llvm::to_vector(function.getOps<epi::FusedOp>()))
        if (const std::optional<Router> router = matchRouter(group))
          fuse(*router);
    reportStatistics(*this, getOperation())
        << metric("groups", numGroups) << metric("row-bytes", numBytes);
  }

  void fuse(Router router) {
    ++numGroups;
    numBytes += 2 * bytesOfRow(router.projection.getX().getType()) +
                2 * bytesOfRow(router.projection.getResult().getType());
    const std::string name =
        nameOf(router.norm) + "_" + nameOf(router.projection) + "_" + nameOf(router.permutation);
    OpBuilder builder(router.permutation->getContext());
    builder.setInsertionPointAfter(router.permutation);
    SmallVector<Operation *> ops = opened(router.norm);
    ops.push_back(router.projection);
    llvm::append_range(ops, opened(router.permutation));

    SmallVector<Value> yielded;
    for (Operation *op : ops)
      llvm::copy_if(op->getResults(), std::back_inserter(yielded),
                    [&](Value result) { return mustYield(result, ops); });
    epi::FusedOp group = formFusionGroup(builder, name, ops, yielded);
    for (auto [value, result] : llvm::zip_equal(yielded, group.getResults()))
      value.replaceAllUsesWith(result);
    for (Operation *op : llvm::reverse(ops))
      op->erase();
  }

  /// What others read; and what a kernel of several launches leaves for the next one, or gives in
  /// any case.
  static bool mustYield(Value value, ArrayRef<Operation *> ops) {
    auto permute = value.getDefiningOp<epi::PermuteOp>();
    return isa<epi::RmsNormOp, epi::LinearOp, epi::RouteOp>(value.getDefiningOp()) ||
           (permute && value != permute.getRows()) ||
           llvm::any_of(value.getUsers(),
                        [&](Operation *user) { return !llvm::is_contained(ops, user); });
  }

  size_t numGroups = 0, numBytes = 0;
};

} // namespace
