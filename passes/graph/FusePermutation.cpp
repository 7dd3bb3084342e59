// Anchored at the permutation. What routes its tokens and what quantizes its rows join it in a
// group. What adds up the rows that came back sinks into the operation, or group, that alone reads
// the sums. Cost: linear.
#include "dialects/epi/Epi.h"
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/Passes.h"
#include "passes/graph/RowGroup.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSEPERMUTATIONPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-permutation";

/// The quantization that alone reads the rows of `permute`, or null.
epi::QuantizeOp matchQuantize(epi::PermuteOp permute) {
  if (!permute.getRows().hasOneUse())
    return {};
  auto quantize = dyn_cast<epi::QuantizeOp>(*permute.getRows().user_begin());
  return quantize && quantize->getBlock() == permute->getBlock() ? quantize : epi::QuantizeOp();
}

/// The routing that gives `permute` its ids, if it can stand there, or null.
epi::RouteOp matchRoute(epi::PermuteOp permute) {
  auto route = permute.getIds().getDefiningOp<epi::RouteOp>();
  if (!route || route->getBlock() != permute->getBlock())
    return {};
  bool fits = llvm::none_of(route->getUsers(), [&](Operation *user) {
    return route->getBlock()->findAncestorOpInBlock(*user)->isBeforeInBlock(permute);
  });
  if (!fits)
    reportMissed(kPass, permute, "something reads what is routed before the rows are ordered");
  return fits ? route : epi::RouteOp();
}

/// The operation, or group, that `unpermute` can be computed with, or null.
Operation *matchReader(epi::UnpermuteOp unpermute) {
  Operation *reader = nullptr;
  for (Operation *user : unpermute->getUsers()) {
    if (reader && user != reader) {
      reportMissed(kPass, unpermute, "more than one operation reads the sums");
      return nullptr;
    }
    reader = user;
  }
  if (!reader || reader->getBlock() != unpermute->getBlock() || isa<func::ReturnOp>(reader))
    return nullptr;
  auto group = dyn_cast<epi::FusedOp>(reader);
  bool fits = group ? llvm::all_of(group.getBody().front().without_terminator(),
                                   [](Operation &op) { return isComputedByRows(&op); })
                    : isComputedByRows(reader) && !isRowView(reader);
  if (!fits)
    reportMissed(kPass, unpermute, "what reads the sums is not computed row by row");
  return fits ? reader : nullptr;
}

struct FusePermutationPass : epigraph::impl::FusePermutationPassBase<FusePermutationPass> {
  void runOnOperation() override {
    numRoutes = numPermutes = numUnpermutes = numBytes = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      for (auto permute : llvm::to_vector(function.getOps<epi::PermuteOp>()))
        fuse(matchRoute(permute), permute, matchQuantize(permute));
      for (auto unpermute : llvm::to_vector(function.getOps<epi::UnpermuteOp>()))
        if (Operation *reader = matchReader(unpermute))
          fuse(unpermute, reader);
    }
    reportStatistics(*this, getOperation())
        << metric("routes", numRoutes) << metric("permutes", numPermutes)
        << metric("unpermutes", numUnpermutes) << metric("row-bytes", numBytes);
  }

  /// `route` and `quantize` may be null.
  void fuse(epi::RouteOp route, epi::PermuteOp permute, epi::QuantizeOp quantize) {
    SmallVector<Operation *> ops;
    SmallVector<Value> yielded;
    std::string name = "permute";
    if (route) {
      // The ids, too: a kernel with a launch for the routing leaves them for the next launch.
      ops.push_back(route);
      llvm::append_range(yielded, route->getResults());
      name = "route_" + name;
      ++numRoutes;
    }
    ops.push_back(permute);
    if (quantize) {
      ops.push_back(quantize);
      llvm::append_range(yielded, quantize->getResults());
      name += "_quantize";
      auto ids = cast<RankedTensorType>(permute.getIds().getType());
      numBytes += 2 * ids.getDimSize(1) * bytesOfRow(permute.getRows().getType());
      ++numPermutes;
    } else {
      yielded.push_back(permute.getRows());
    }
    if (ops.size() == 1)
      return;
    yielded.append({permute.getSlots(), permute.getCounts()});
    OpBuilder builder(permute);
    epi::FusedOp group = formFusionGroup(builder, name, ops, yielded);
    for (auto [value, result] : llvm::zip_equal(yielded, group.getResults()))
      value.replaceAllUsesWith(result);
    for (Operation *op : llvm::reverse(ops))
      op->erase();
  }

  void fuse(epi::UnpermuteOp unpermute, Operation *reader) {
    numBytes += 2 * bytesOfRow(unpermute.getResult().getType());
    ++numUnpermutes;
    auto group = dyn_cast<epi::FusedOp>(reader);
    if (!group)
      group = wrapInGroup(reader);
    sinkIntoGroup(unpermute, group, ("unpermute_" + group.getName()).str());
  }

  size_t numRoutes = 0, numPermutes = 0, numUnpermutes = 0, numBytes = 0;
};

} // namespace
