// The order of passes: the only place where it is written. Each phase is a list of passes; the
// driver runs phases one by one, and epigraph-opt has each as a pipeline, --epigraph-PHASE.
#ifndef EPIGRAPH_COMPILER_PIPELINE_PIPELINE_H
#define EPIGRAPH_COMPILER_PIPELINE_PIPELINE_H

#include <cstdint>

#include "compiler/pipeline/Phase.h"
#include "dialects/ep/Ep.h"
#include "mlir/Pass/PassManager.h"
#include "passes/quant/ComputeType.h"

namespace epigraph {

/// What passes need to know of the compilation.
struct PipelineOptions {
  int64_t ranks = 1;
  ep::AttentionMode attention = ep::AttentionMode::Replicated;
  ComputeType compute = ComputeType::BFloat16;
};

/// Adds the passes of `phase`. Import and pack have none; codegen's prepare the graph for the
/// kernel builders of the CPU target.
void buildPhase(mlir::OpPassManager &passes, Phase phase, const PipelineOptions &options);

/// Registers the pipelines --epigraph-canonicalize to --epigraph-codegen, with options `ranks`,
/// `attention` and `compute`.
void registerPhasePipelines();

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_PIPELINE_PIPELINE_H
