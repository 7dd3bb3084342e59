// One walk: before an operation that reads a result of a collective under way stands a wait for the
// latest such one, which ends all before it; before the end of the function, one for the last. No
// wait can go: each stands before a reader of what nothing earlier waits for. And none can come
// later. Memory is no concern: --exec-plan-memory keeps it until the wait. Cost: linear, times the
// collectives under way.
#include "passes/PassRemarks.h"
#include "passes/schedule/Passes.h"
#include "passes/schedule/UnderWay.h"

#include "mlir/IR/Builders.h"

namespace epigraph {
#define GEN_PASS_DEF_INSERTWAITSPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// Whether the runtime does nothing between `first` and `second`.
bool areNeighbours(Operation *first, Operation *second) {
  Operation *op = second->getPrevNode();
  while (op && isa<exec::LoadWeightOp, epi::KvCacheOp>(op))
    op = op->getPrevNode();
  return op == first;
}

struct InsertWaitsPass : epigraph::impl::InsertWaitsPassBase<InsertWaitsPass> {
  void runOnOperation() override {
    numStarted = numWaits = numTokens = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal())
        insertWaits(function);
    reportStatistics(*this, getOperation())
        << metric("started", numStarted) << metric("waits", numWaits)
        << metric("naive-waits", numTokens) << metric("tokens-taken", numTokens - numStarted);
  }

  void insertWaits(func::FuncOp function) {
    UnderWay underWay;
    for (Operation &op : llvm::make_early_inc_range(function.getOps())) {
      if (auto wait = dyn_cast<ep::WaitOp>(op); wait && !underWay.isNeeded(wait)) {
        wait.erase();
        continue;
      }
      Operation *needed = underWay.latestReadBy(&op);
      if (isa<func::ReturnOp>(op) && !underWay.get().empty())
        needed = underWay.get().back();
      if (needed)
        waitFor(needed, &op, underWay);
      if (tokenOf(&op)) {
        ++numTokens;
        ++numStarted;
      }
      underWay.pass(&op);
    }
  }

  /// Sees to it that `collective` has finished before `reader`.
  void waitFor(Operation *collective, Operation *reader, UnderWay &underWay) {
    OpBuilder builder(reader);
    auto wait = ep::WaitOp::create(builder, collective->getLoc(), tokenOf(collective));
    underWay.pass(wait);
    if (!areNeighbours(collective, wait) || !tokenOf(collective).hasOneUse()) {
      ++numWaits;
      return;
    }
    wait.erase();
    setStarts(collective, false);
    --numStarted;
  }

  size_t numStarted = 0, numWaits = 0, numTokens = 0;
};

} // namespace
