#include "compiler/pipeline/Pipeline.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace epigraph {

static void addCleanup(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

static void buildCanonicalize(OpPassManager &passes) { addCleanup(passes); }

void buildPhase(OpPassManager &passes, Phase phase, const PipelineOptions &options) {
  switch (phase) {
  case Phase::Canonicalize:
    return buildCanonicalize(passes);
  case Phase::Fuse:
  case Phase::Quantize:
  case Phase::Partition:
  case Phase::Schedule:
  case Phase::PlanMemory:
  case Phase::Codegen:
  case Phase::Sparsify: // No passes yet.
  case Phase::Import:   // The importer's.
  case Phase::Pack:     // The packer's.
    return;
  }
}

namespace {

/// PipelineOptions as text: "--epigraph-partition=ranks=4".
struct TextualOptions : PassPipelineOptions<TextualOptions> {
  Option<int64_t> ranks{*this, "ranks", llvm::cl::desc("ranks that share the experts"),
                        llvm::cl::init(1)};
  Option<std::string> attention{*this, "attention",
                                llvm::cl::desc("\"replicated\" or \"data\" parallel attention"),
                                llvm::cl::init("replicated")};
  Option<std::string> compute{*this, "compute", llvm::cl::desc("\"bfloat16\" or \"float32\""),
                              llvm::cl::init("bfloat16")};
};

} // namespace

void registerPhasePipelines() {
  // Registrations keep references to their names.
  static std::array<std::string, kPhases.size()> names, descriptions;
  for (Phase phase : kPhases) {
    if (phase == Phase::Import || phase == Phase::Pack)
      continue;
    size_t index = static_cast<size_t>(phase);
    names[index] = "epigraph-" + std::string(phaseName(phase));
    descriptions[index] = "The passes of the phase " + std::string(phaseName(phase));
    PassPipelineRegistration<TextualOptions>(
        names[index], descriptions[index],
        [phase](OpPassManager &passes, const TextualOptions &options) {
          buildPhase(passes, phase, {options.ranks, options.attention, options.compute});
        });
  }
}

} // namespace epigraph
