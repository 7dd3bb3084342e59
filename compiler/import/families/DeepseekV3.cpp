// DeepSeek-V3 and R1 (DeepSeek-AI, 2024): multi-head latent attention, with or without a low-rank
// query; YaRN; dense first layers, then experts chosen by sigmoid scores with a correction bias
// and group limits, beside shared experts; a multi-token-prediction layer as a second function.
// The numbers follow transformers' modeling_deepseek_v3.py, which has no prediction layer; that
// one follows the technical report, section 2.2.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/Experts.h"
#include "compiler/import/blocks/LatentAttention.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config);
  LatentAttention attention = readLatentAttention(config, decoder);
  DeepseekExperts experts = readDeepseekExperts(config);
  readCorrectedRouter(config, experts);

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return latentAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t layer) {
    return deepseekFeedForward(graph, experts, decoder.inner, x, layer);
  };
  EPIGRAPH_RETURN_IF_ERROR(buildDecoder(config, graph, decoder, parts));
  buildPrediction(config, graph, decoder, parts);
  return absl::OkStatus();
}

} // namespace

Family familyDeepseekV3() { return {"deepseek_v3", {"DeepseekV3ForCausalLM"}, build}; }

} // namespace epigraph
