#include "compiler/pipeline/Pipeline.h"

#include "mlir/Transforms/Passes.h"

#include "codegen/cpu/Passes.h"
#include "passes/graph/Passes.h"
#include "passes/partition/Passes.h"
#include "passes/quant/Passes.h"
#include "passes/schedule/Passes.h"
#include "passes/verify/Passes.h"

using namespace mlir;

namespace epigraph {

static void addCleanup(PassList &passes) {
  passes.optional(createCanonicalizerPass());
  passes.optional(createEliminateCommonPass());
}

static void listCanonicalize(PassList &passes) {
  // First: the cleanup would drop dead weights too, but not say which.
  passes.optional(createElideDeadWeightsPass());
  addCleanup(passes);
}

static void listFuse(PassList &passes, const PipelineOptions &options) {
  // Before anything is fused: it cuts projections apart from what stands around them.
  if (options.tensor > 1) {
    PartitionTensorPassOptions partition;
    partition.tensor = options.tensor;
    partition.expert = options.ranks;
    partition.attention = options.attention;
    partition.mode = options.tensorMode;
    passes.required(createPartitionTensorPass(partition), "--tp asks for it");
  }
  // Attention first: what becomes of an absorbed kv_b_proj is two projections of their own.
  passes.optional(createSpecializePhasesPass());
  passes.optional(createChooseAttentionFormPass());
  if (options.fusionLevel >= 1) {
    passes.optional(createFuseProjectionsPass());
    passes.optional(createFuseSwigluPass());
    passes.optional(createFuseRoutingPass());
  }
  passes.optional(createElideLayoutChangesPass());
  addCleanup(passes);
}

static void listQuantize(PassList &passes, const PipelineOptions &options) {
  ConvertComputeTypePassOptions convert;
  convert.type = options.compute;
  passes.required(createConvertComputeTypePass(convert), "it gives values the type of --compute");
  addCleanup(passes);
}

/// Kernels put together of what stands side by side now. Here and not in the phase fuse: experts
/// are projections only now, and exchanges stand between operations that were neighbours.
static void listKernelFusion(PassList &passes, const PipelineOptions &options) {
  if (options.fusionLevel < 1)
    return;
  // Epilogues first: they leave to norms the sums that save no less there.
  passes.optional(createFuseLinearEpiloguePass());
  if (options.gatedEpilogues)
    passes.optional(createFuseGatedEpiloguePass());
  passes.optional(createFuseResidualNormPass());
  if (options.fusionLevel >= 2) {
    FormFusionGroupsPassOptions groups;
    groups.level = options.fusionLevel;
    passes.optional(createFormFusionGroupsPass(groups));
  }
  if (options.fp8Activations)
    passes.optional(createFuseQuantizePass());
  if (options.appendsInRows)
    passes.optional(createFuseCacheAppendPass());
  if (options.rotatesQueries)
    passes.optional(createFuseQueryRotationPass());
}

static void listPartition(PassList &passes, const PipelineOptions &options) {
  if (!options.expertLoad.empty()) {
    PlaceExpertsPassOptions placement;
    placement.load = options.expertLoad;
    placement.ranks = options.ranks;
    placement.redundant = options.redundantExperts;
    passes.required(createPlaceExpertsPass(placement), "--expert-load asks for it");
  }
  PartitionExpertsPassOptions partition;
  partition.ranks = options.ranks;
  partition.attention = options.attention;
  passes.required(createPartitionExpertsPass(partition),
                  "it turns experts into the projections that targets have kernels for");
  // The experts are projections only now.
  if (options.fusionLevel >= 1) {
    passes.optional(createFuseProjectionsPass());
    passes.optional(createFuseSwigluPass());
  }
  // All that joins or cuts weights is done.
  passes.required(createFoldDequantizePass(), "weights would be stored dequantized");
  if (options.fp8Activations)
    passes.required(createQuantizeActivationsPass(),
                    "the target multiplies FP8 weights by FP8 activations only");
  passes.optional(createElideLayoutChangesPass());
  passes.optional(createChooseCollectivesPass());
  listKernelFusion(passes, options);
  addCleanup(passes);
}

static void listSchedule(PassList &passes, const PipelineOptions &options) {
  if (options.peerExchanges)
    passes.required(createLowerDispatchPass(), "the target's ranks write each other's memory");
  if (options.sampleOnTarget)
    passes.optional(createMaterializeSamplePass());
  passes.required(createDecomposeDispatchPass(), "targets and communicators know its parts only");
  // A dispatch's parts are there only now.
  if (options.fusedPermutation && options.fusionLevel >= 1) {
    passes.optional(createFusePermutationPass());
    passes.optional(createFuseRouterPass());
  }
  passes.required(createHoistWeightsPass(), "an artifact stores what it hoists");
  passes.required(createOutlineKernelsPass(), "an artifact launches what it outlines");
  passes.optional(createDeduplicateKernelsPass());
  passes.optional(createStartCollectivesPass());
  passes.optional(createSplitBatchesPass({options.batches}));
  passes.optional(createOverlapPass());
  passes.required(createInsertWaitsPass(), "what has started must be waited for");
}

static void listPlanMemory(PassList &passes) {
  passes.required(createPlanMemoryPass(), "the runtime runs planned memory only");
  passes.required(createVerifyWaitsPass(), "a missing wait gives wrong numbers now and then");
}

static void listPasses(PassList &passes, Phase phase, const PipelineOptions &options) {
  switch (phase) {
  case Phase::Canonicalize:
    return listCanonicalize(passes);
  case Phase::Fuse:
    return listFuse(passes, options);
  case Phase::Quantize:
    return listQuantize(passes, options);
  case Phase::Partition:
    return listPartition(passes, options);
  case Phase::Schedule:
    return listSchedule(passes, options);
  case Phase::PlanMemory:
    return listPlanMemory(passes);
  case Phase::Codegen:
    if (options.packsWeights)
      passes.required(createPackWeightsPass(), "CPU kernels read packed weights only");
    return;
  case Phase::Sparsify: // No passes yet.
  case Phase::Import:   // The importer's.
  case Phase::Pack:     // The packer's.
    return;
  }
}

/// The check of what `phase` promises, given the optimisations that ran in it; or, after inserted
/// passes, of what later phases need.
static std::unique_ptr<Pass> checkOf(Phase phase, const PipelineOptions &options,
                                     ArrayRef<std::string> ran, bool isInserted) {
  VerifyPhasePassOptions check;
  check.plans = isInserted; // The phase's own passes check theirs.
  check.phase = phaseName(phase);
  check.compute = options.compute == ComputeType::Float32 ? "float32" : "bfloat16";
  llvm::append_range(check.passes, ran);
  return createVerifyPhasePass(check);
}

static bool isLeftOut(const ListedPass &listed, const PipelineOptions &options) {
  return listed.isOptional() && ((!options.optimize && !listed.isCheck) ||
                                 llvm::is_contained(options.disabled, listed.pass->getArgument()));
}

std::vector<ListedPass> passesOf(Phase phase, const PipelineOptions &options) {
  PassList list;
  listPasses(list, phase, options);
  std::vector<ListedPass> passes = list.take();
  llvm::erase_if(passes, [&](const ListedPass &listed) { return isLeftOut(listed, options); });
  if (phase == Phase::Pack)
    return passes;
  std::vector<std::string> ran;
  for (const ListedPass &listed : passes)
    if (listed.isOptional())
      ran.push_back(listed.pass->getArgument().str());
  ListedPass check{checkOf(phase, options, ran, /*isInserted=*/false), {}, /*isCheck=*/true};
  if (!isLeftOut(check, options))
    passes.push_back(std::move(check));
  return passes;
}

void buildPhase(OpPassManager &passes, Phase phase, const PipelineOptions &options) {
  bool isChecked = false;
  for (ListedPass &listed : passesOf(phase, options)) {
    isChecked = isChecked || listed.isCheck;
    passes.addPass(std::move(listed.pass));
  }
  bool hasInserted = false;
  for (const InsertedPass &inserted : options.inserted) {
    if (inserted.phase != phase)
      continue;
    if (failed(parsePassPipeline(inserted.pipeline, passes)))
      llvm_unreachable("checkPipeline parses inserted passes");
    hasInserted = true;
  }
  if (hasInserted && isChecked)
    passes.addPass(checkOf(phase, options, /*ran=*/{}, /*isInserted=*/true));
}

} // namespace epigraph
