// The order of passes: the only place where it is written. Each phase is a list of passes; the
// driver runs phases one by one, and epigraph-opt has each as a pipeline, --epigraph-PHASE.
#ifndef EPIGRAPH_COMPILER_PIPELINE_PIPELINE_H
#define EPIGRAPH_COMPILER_PIPELINE_PIPELINE_H

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "compiler/pipeline/PassList.h"
#include "compiler/pipeline/Phase.h"
#include "dialects/ep/Ep.h"
#include "mlir/Pass/PassManager.h"
#include "passes/partition/TensorMode.h"
#include "passes/quant/ComputeType.h"
#include "passes/schedule/BatchSplit.h"

namespace epigraph {

/// How far operations are put together into kernels: 0 not at all; 1 known patterns; 2 also groups
/// that the cost model finds worth it; 3 whatever it does not find harmful.
inline constexpr int64_t kDefaultFusionLevel = 2;
inline constexpr int64_t kMaxFusionLevel = 3;

/// A pass, or pipeline, given as text, that runs after the passes of a phase.
struct InsertedPass {
  /// As in --pass-pipeline, for a builtin.module: "NAME{options}", "func.func(NAME)", "A,B".
  std::string pipeline;
  Phase phase;
};

/// What passes need to know of the compilation, and which of them run.
struct PipelineOptions {
  int64_t ranks = 1;  ///< groups, which share the experts
  int64_t tensor = 1; ///< ranks of each group
  TensorMode tensorMode = TensorMode::Auto;
  /// A file of measured loads, by which experts are placed; empty: each in the slot of its number.
  std::string expertLoad;
  /// With `expertLoad`: replicas over all groups, beside one slot for each expert.
  int64_t redundantExperts = 0;
  BatchSplit batches = BatchSplit::One;
  ep::AttentionMode attention = ep::AttentionMode::Replicated;
  ComputeType compute = ComputeType::BFloat16;
  /// Whether the target multiplies FP8 weights by FP8 activations, as matrix units do.
  bool fp8Activations = false;
  /// Whether a projection's kernel can combine equal parts of its columns, such as gate and up.
  bool gatedEpilogues = false;
  /// Whether the target's kernel of rows rotates heads and appends to caches, too.
  bool appendsInRows = false;
  /// Whether the target's kernel of latent attention in absorbed form rotates queries, too.
  bool rotatesQueries = false;
  /// Whether a kernel can permute rows, or add up permuted ones, and compute on them.
  bool fusedPermutation = false;
  /// Whether the ranks' kernels exchange rows of experts through memory that they write for each
  /// other, and not through a communicator.
  bool peerExchanges = false;
  /// Whether the target has a kernel that chooses tokens, where logits are far from the host.
  bool sampleOnTarget = false;
  /// Whether kernels read the weights of projections in panels, as the CPU's do.
  bool packsWeights = true;
  /// 0 to kMaxFusionLevel.
  int64_t fusionLevel = kDefaultFusionLevel;
  /// False: every pass that may be left out is.
  bool optimize = true;
  /// Flags of passes that are left out wherever they would run: "epi-fuse-swiglu".
  std::vector<std::string> disabled;
  std::vector<InsertedPass> inserted;
};

/// Registers every pass that a pipeline can name: Epigraph's, and MLIR's general ones. May be
/// called again.
void registerPasses();

/// Registers the pipelines --epigraph-canonicalize to --epigraph-codegen, with the options `ranks`,
/// `attention`, `compute`, `fp8-activations`, `gated-epilogues`, `appends-in-rows`,
/// `fused-permutation`, `peer-exchanges`, `sample-on-target` and `fusion-level`.
void registerPhasePipelines();

/// Reads "PIPELINE@PHASE", as --insert-pass takes it. InvalidArgument for another form or phase.
absl::StatusOr<InsertedPass> parseInsertedPass(llvm::StringRef text);

/// Whether `options` can be had. InvalidArgument says what is wrong: passes to leave out that do
/// not exist or are needed, passes to insert that do not parse (they must be registered), at a
/// phase that runs none.
absl::Status checkPipeline(const PipelineOptions &options);

/// The passes of `phase` that `options` leave in, without those inserted. Import and pack have
/// none; codegen's prepare the graph for the kernel builders of the CPU target.
std::vector<ListedPass> passesOf(Phase phase, const PipelineOptions &options);

/// Adds the passes of `phase`, then those inserted there. `options` must satisfy checkPipeline.
/// `passes` should nest implicitly, for inserted passes on functions.
void buildPhase(mlir::OpPassManager &passes, Phase phase, const PipelineOptions &options);

/// The flags of all passes that may be left out, in the order in which they first run.
std::vector<std::string> optionalPasses();

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_PIPELINE_PIPELINE_H
