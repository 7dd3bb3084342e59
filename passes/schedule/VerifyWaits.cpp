// The check of UnderWay.h as a pass.
#include "passes/PassRemarks.h"
#include "passes/schedule/Passes.h"
#include "passes/schedule/UnderWay.h"

namespace epigraph {
#define GEN_PASS_DEF_VERIFYWAITSPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {
struct VerifyWaitsPass : epigraph::impl::VerifyWaitsPassBase<VerifyWaitsPass> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    size_t numStarted = 0, numWaits = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (failed(verifyWaits(function)))
        return signalPassFailure();
      for (Operation &op : function.getOps()) {
        numStarted += static_cast<bool>(tokenOf(&op));
        numWaits += isa<ep::WaitOp>(op);
      }
    }
    reportStatistics(*this, getOperation())
        << metric("started", numStarted) << metric("waits", numWaits);
  }
};
} // namespace
