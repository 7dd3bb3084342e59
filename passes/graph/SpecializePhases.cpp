// The two phases are computed by functions of their own where the cheaper form of latent attention
// differs between them: a prefill step shares each expansion of the cache among all its rows, a
// decode step cannot. The clone names the same weights and caches, so a sequence may go from one
// function to the other at any step.
#include "passes/PassRemarks.h"
#include "passes/graph/AttentionCost.h"
#include "passes/graph/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace epigraph {
#define GEN_PASS_DEF_SPECIALIZEPHASESPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kFlag = "epi-specialize-phases";

/// Bytes of the up-projections of `function` that the two phases would store in different forms.
int64_t differingBytes(ModuleOp module, func::FuncOp function) {
  std::optional<TypicalStep> prefill = TypicalStep::of(module, StepPhase::Prefill);
  std::optional<TypicalStep> decode = TypicalStep::of(module, StepPhase::Decode);
  int64_t bytes = 0;
  for (auto op : function.getOps<epi::MlaAttentionOp>())
    if (op.getUp() && prefill && decode &&
        isCheaperExpanded(op, *prefill, module) != isCheaperExpanded(op, *decode, module))
      bytes += upBytes(op);
  return bytes;
}

/// Clones `main` behind itself.
void specialize(func::FuncOp main) {
  OpBuilder builder(main->getContext());
  builder.setInsertionPointAfter(main);
  auto decode = cast<func::FuncOp>(builder.clone(*main));
  decode.setName(kDecode);
  decode->setAttr(kPhaseAttrName, builder.getStringAttr(kDecode));
  main->setAttr(kPhaseAttrName, builder.getStringAttr(kPrefill));
}

struct SpecializePhasesPass : epigraph::impl::SpecializePhasesPassBase<SpecializePhasesPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    int64_t bytes = 0;
    if (main && isFree(main))
      bytes = differingBytes(module, main);
    if (bytes > 0)
      specialize(main);
    reportStatistics(*this, module)
        << metric("functions", bytes > 0 ? 1 : 0) << metric("extra-weight-bytes", bytes);
  }

private:
  /// Whether `main` is not specialised yet, and nothing is in the way.
  bool isFree(func::FuncOp main) {
    if (main->hasAttr(kPhaseAttrName)) {
      reportMissed(kFlag, main, "the function has a phase already");
      return false;
    }
    if (getOperation().lookupSymbol(kDecode)) {
      reportMissed(kFlag, main, "the module has a symbol @decode already");
      return false;
    }
    return true;
  }
};

} // namespace
