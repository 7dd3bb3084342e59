// Passes and phases by name, for pipelines that are given as text.
#include <array>
#include <mutex>

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include "codegen/cpu/Passes.h"
#include "compiler/pipeline/Pipeline.h"
#include "passes/graph/Passes.h"
#include "passes/partition/Passes.h"
#include "passes/quant/Passes.h"
#include "passes/schedule/Passes.h"
#include "passes/verify/Passes.h"

using namespace mlir;

namespace epigraph {

void registerPasses() {
  static std::once_flag once;
  std::call_once(once, [] {
    registerTransformsPasses();
    registerGraphPasses();
    registerQuantPasses();
    registerPartitionPasses();
    registerSchedulePasses();
    registerVerifyPasses();
    registerCpuPasses();
  });
}

namespace {

/// PipelineOptions as text: "--epigraph-partition=ranks=4".
struct TextualOptions : PassPipelineOptions<TextualOptions> {
  Option<int64_t> ranks{*this, "ranks", llvm::cl::desc("ranks that share the experts"),
                        llvm::cl::init(1)};
  Option<int64_t> tensor{*this, "tensor", llvm::cl::desc("ranks that share each projection"),
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
  Option<bool> fp8Activations{*this, "fp8-activations",
                              llvm::cl::desc("inputs of products with FP8 weights become FP8"),
                              llvm::cl::init(false)};
  Option<bool> gatedEpilogues{*this, "gated-epilogues",
                              llvm::cl::desc("projections combine parts of their columns"),
                              llvm::cl::init(false)};
  Option<bool> appendsInRows{*this, "appends-in-rows",
                             llvm::cl::desc("row groups rotate heads and append to caches"),
                             llvm::cl::init(false)};
  Option<bool> rotatesQueries{*this, "rotates-queries",
                              llvm::cl::desc("latent attention rotates queries"),
                              llvm::cl::init(false)};
  Option<bool> fusedPermutation{*this, "fused-permutation",
                                llvm::cl::desc("kernels permute rows and compute on them"),
                                llvm::cl::init(false)};
  Option<bool> peerExchanges{*this, "peer-exchanges",
                             llvm::cl::desc("ranks write rows into each other's memory"),
                             llvm::cl::init(false)};
  Option<bool> sampleOnTarget{*this, "sample-on-target",
                              llvm::cl::desc("functions with logits give tokens, too"),
                              llvm::cl::init(false)};
  Option<int64_t> fusionLevel{*this, "fusion-level",
                              llvm::cl::desc("how far operations are fused, 0 to 3"),
                              llvm::cl::init(kDefaultFusionLevel)};

  Option<BatchSplit> batches{
      *this, "batches", llvm::cl::desc("batches of each layer's routed part"),
      llvm::cl::init(BatchSplit::One),
      llvm::cl::values(clEnumValN(BatchSplit::Auto, "auto", "two where that should be faster"),
                       clEnumValN(BatchSplit::One, "1", "one"),
                       clEnumValN(BatchSplit::Two, "2", "two wherever possible"))};

  PipelineOptions read() const {
    PipelineOptions options;
    options.ranks = ranks;
    options.tensor = tensor;
    options.attention = attention;
    options.compute = compute;
    options.fp8Activations = fp8Activations;
    options.gatedEpilogues = gatedEpilogues;
    options.appendsInRows = appendsInRows;
    options.rotatesQueries = rotatesQueries;
    options.fusedPermutation = fusedPermutation;
    options.peerExchanges = peerExchanges;
    options.sampleOnTarget = sampleOnTarget;
    options.fusionLevel = fusionLevel;
    options.batches = batches;
    return options;
  }
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
          buildPhase(passes, phase, options.read());
        });
  }
}

} // namespace epigraph
