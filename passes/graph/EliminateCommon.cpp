// MLIR's elimination, with a listener that counts: the upstream pass says nothing.
#include "passes/PassRemarks.h"
#include "passes/graph/Passes.h"

#include "mlir/IR/Dominance.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/CSE.h"

namespace epigraph {
#define GEN_PASS_DEF_ELIMINATECOMMONPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// Merged operations are first replaced and then erased, dead ones only erased.
struct Counter : RewriterBase::Listener {
  void notifyOperationReplaced(Operation *, ValueRange) override { ++replaced; }
  void notifyOperationErased(Operation *) override { ++erased; }

  size_t replaced = 0, erased = 0;
};

struct EliminateCommonPass : epigraph::impl::EliminateCommonPassBase<EliminateCommonPass> {
  void runOnOperation() override {
    Counter counter;
    IRRewriter rewriter(&getContext(), &counter);
    bool changed = false;
    eliminateCommonSubExpressions(rewriter, getAnalysis<DominanceInfo>(), getOperation(), &changed);
    if (!changed)
      markAllAnalysesPreserved();
    reportStatistics(*this, getOperation())
        << metric("merged", counter.replaced) << metric("dead", counter.erased - counter.replaced);
  }
};

} // namespace
