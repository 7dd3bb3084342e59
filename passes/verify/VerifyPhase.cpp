// Phases build on one another, so each is checked for what it adds and, where that is cheap, for
// what it must keep. Every check is one walk.
#include "passes/PassRemarks.h"
#include "passes/verify/Passes.h"
#include "passes/verify/PhaseChecks.h"

namespace epigraph {
#define GEN_PASS_DEF_VERIFYPHASEPASS
#include "passes/verify/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// Phases that leave something to check, in order. Their names are part of the command line.
constexpr llvm::StringLiteral kPhases[] = {"import",   "canonicalize", "fuse",
                                           "quantize", "sparsify",     "partition",
                                           "schedule", "plan-memory",  "codegen"};
enum PhaseIndex {
  Import,
  Canonicalize,
  Fuse,
  Quantize,
  Sparsify,
  Partition,
  Schedule,
  PlanMemory,
  Codegen
};

struct VerifyPhasePass : epigraph::impl::VerifyPhasePassBase<VerifyPhasePass> {
  using VerifyPhasePassBase::VerifyPhasePassBase;

  void runOnOperation() override {
    markAllAnalysesPreserved();
    const auto *found = llvm::find(kPhases, phase.getValue());
    if (found == std::end(kPhases)) {
      getOperation().emitError("--epigraph-verify-phase: phase '")
          << phase << "' is not one of "
          << llvm::join(std::begin(kPhases), std::end(kPhases), ", ");
      return signalPassFailure();
    }
    if (failed(verify(found - std::begin(kPhases), getOperation())))
      return signalPassFailure();
    int64_t ops = 0;
    getOperation().walk([&](Operation *) { ++ops; });
    reportStatistics(*this, getOperation()) << metric("ops", ops);
  }

  LogicalResult verify(int64_t index, ModuleOp module) {
    if (index < Schedule && failed(verifyGraph(module)))
      return failure();
    if (index >= Quantize && compute == "float32" && failed(verifyFloat32(module)))
      return failure();
    if (index >= Partition && failed(verifyPartition(module)))
      return failure();
    if (index >= Schedule && failed(verifySchedule(module)))
      return failure();
    if (index == PlanMemory && failed(verifyPlans(module, plans)))
      return failure();
    return success(index != Codegen || succeeded(verifyPackedWeights(module)));
  }

  LogicalResult verifyGraph(ModuleOp module) {
    if (failed(verifyFusionGroups(module)))
      return failure();
    if (llvm::is_contained(passes, "epi-elide-dead-weights") && failed(verifyNoDeadWeights(module)))
      return failure();
    return success(passes.empty() || passes[passes.size() - 1] != "epi-eliminate-common" ||
                   succeeded(verifyNoDuplicates(module)));
  }
};

} // namespace
