#include "compiler/pipeline/Pipeline.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include "codegen/cpu/Passes.h"
#include "passes/graph/Passes.h"
#include "passes/partition/Passes.h"
#include "passes/quant/Passes.h"
#include "passes/schedule/Passes.h"

using namespace mlir;

namespace epigraph {

static void addCleanup(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

static void buildCanonicalize(OpPassManager &passes) {
  // First: the cleanup would drop dead weights too, but not say which.
  passes.addPass(createElideDeadWeightsPass());
  addCleanup(passes);
}

static void buildFuse(OpPassManager &passes) {
  // Absorbing first: what becomes of kv_b_proj is two projections of their own.
  passes.addPass(createAbsorbMlaPass());
  passes.addPass(createFuseProjectionsPass());
  passes.addPass(createFuseResidualNormPass());
  passes.addPass(createFuseSwigluPass());
  addCleanup(passes);
}

static void buildQuantize(OpPassManager &passes, const PipelineOptions &options) {
  ConvertComputeTypePassOptions convert;
  convert.type = options.compute;
  passes.addPass(createConvertComputeTypePass(convert));
  addCleanup(passes);
}

static void buildPartition(OpPassManager &passes, const PipelineOptions &options) {
  PartitionExpertsPassOptions partition;
  partition.ranks = options.ranks;
  partition.attention = options.attention;
  passes.addPass(createPartitionExpertsPass(partition));
  // The experts are projections only now.
  passes.addPass(createFuseProjectionsPass());
  passes.addPass(createFuseSwigluPass());
  addCleanup(passes);
}

static void buildSchedule(OpPassManager &passes) {
  passes.addPass(createDecomposeDispatchPass());
  passes.addPass(createHoistWeightsPass());
  passes.addPass(createOutlineKernelsPass());
}

void buildPhase(OpPassManager &passes, Phase phase, const PipelineOptions &options) {
  switch (phase) {
  case Phase::Canonicalize:
    return buildCanonicalize(passes);
  case Phase::Fuse:
    return buildFuse(passes);
  case Phase::Quantize:
    return buildQuantize(passes, options);
  case Phase::Partition:
    return buildPartition(passes, options);
  case Phase::Schedule:
    return buildSchedule(passes);
  case Phase::PlanMemory:
    return passes.addPass(createPlanMemoryPass());
  case Phase::Codegen:
    return passes.addPass(createPackWeightsPass());
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
  Option<ep::AttentionMode> attention{
      *this, "attention", llvm::cl::desc("how attention is shared among the ranks"),
      llvm::cl::init(ep::AttentionMode::Replicated),
      llvm::cl::values(
          clEnumValN(ep::AttentionMode::Replicated, "replicated", "all ranks, all tokens"),
          clEnumValN(ep::AttentionMode::Data, "data", "each rank, sequences of its own"))};
  Option<ComputeType> compute{
      *this, "compute", llvm::cl::desc("type of activations, caches and weights"),
      llvm::cl::init(ComputeType::BFloat16),
      llvm::cl::values(clEnumValN(ComputeType::BFloat16, "bfloat16", "as the checkpoint says"),
                       clEnumValN(ComputeType::Float32, "float32", "32-bit floats throughout"))};
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
