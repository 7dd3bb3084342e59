// Every collective gets a token. Whether that is of use shows only when the function is scheduled;
// --exec-insert-waits takes tokens back that are of none.
#include "passes/PassRemarks.h"
#include "passes/schedule/Passes.h"
#include "passes/schedule/UnderWay.h"

namespace epigraph {
#define GEN_PASS_DEF_STARTCOLLECTIVESPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {
struct StartCollectivesPass : epigraph::impl::StartCollectivesPassBase<StartCollectivesPass> {
  void runOnOperation() override {
    size_t numStarted = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (Operation &op : llvm::make_early_inc_range(function.getOps()))
        if (isCollective(&op) && !tokenOf(&op)) {
          setStarts(&op, true);
          ++numStarted;
        }
    reportStatistics(*this, getOperation()) << metric("started", numStarted);
  }
};
} // namespace
