// One walk backwards over each block: when an operation on weights is met, its users have been
// seen, so whole chains go in one pass. Cost: linear.
#include "dialects/ep/Ep.h"
#include "passes/PassRemarks.h"
#include "passes/graph/Passes.h"
#include "passes/graph/WeightExpressions.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_ELIDEDEADWEIGHTSPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {
struct ElideDeadWeightsPass : epigraph::impl::ElideDeadWeightsPassBase<ElideDeadWeightsPass> {
  void runOnOperation() override {
    numWeights = numBytes = numOps = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (Block &block : function.getBody())
        for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
          if (op.use_empty() && isWeightOp(&op) &&
              llvm::all_of(op.getOperands(), isWeightExpression))
            elide(op);
    reportStatistics(*this, getOperation())
        << metric("weights", numWeights) << metric("bytes", numBytes) << metric("ops", numOps);
  }

  void elide(Operation &op) {
    if (isa<epi::WeightOp, epi::WeightStackOp>(op)) {
      auto type = cast<RankedTensorType>(op.getResult(0).getType());
      numWeights += isa<epi::WeightStackOp>(op) ? type.getDimSize(0) : 1;
      numBytes += type.getNumElements() * (type.getElementTypeBitWidth() / 8);
    }
    ++numOps;
    op.erase();
  }

  int64_t numWeights = 0, numBytes = 0, numOps = 0;
};
} // namespace
