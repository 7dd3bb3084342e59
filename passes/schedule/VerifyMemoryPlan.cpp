// The check of MemoryPlan.h as a pass, for plans that were read from text or made by another pass.
#include "passes/PassRemarks.h"
#include "passes/schedule/MemoryPlan.h"
#include "passes/schedule/Passes.h"

namespace epigraph {
#define GEN_PASS_DEF_VERIFYMEMORYPLANPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {
struct VerifyMemoryPlanPass : epigraph::impl::VerifyMemoryPlanPassBase<VerifyMemoryPlanPass> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    size_t numBuffers = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (failed(verifyMemoryPlan(function)))
        return signalPassFailure();
      for (Operation &op : function.getOps())
        if (auto buffers = op.getAttrOfType<ArrayAttr>(exec::kBuffersAttrName))
          numBuffers += buffers.size();
    }
    reportStatistics(*this, getOperation()) << metric("buffers", numBuffers);
  }
};
} // namespace
