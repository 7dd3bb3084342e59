// GLM-4.5 and 4.6 (Zhipu AI, 2025): grouped-query attention that turns only half of a head's dims,
// with optional norms of queries and keys; the experts, and the prediction layer, of DeepSeek-V3.
// The numbers follow transformers' modeling_glm4_moe.py, which has no prediction layer.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/Experts.h"
#include "compiler/import/blocks/GroupedAttention.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config, {.partialFactor = 0.5});
  GroupedAttention attention = readGroupedAttention(config, decoder);
  attention.inputBias = config.flag("attention_bias", false);
  if (config.flag("use_qk_norm", false))
    attention.norm = QueryKeyNorm::EachHead;
  DeepseekExperts experts = readDeepseekExperts(config);
  readCorrectedRouter(config, experts);

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return groupedAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t layer) {
    return deepseekFeedForward(graph, experts, decoder.inner, x, layer);
  };
  EPIGRAPH_RETURN_IF_ERROR(buildDecoder(config, graph, decoder, parts));
  buildPrediction(config, graph, decoder, parts);
  return absl::OkStatus();
}

} // namespace

Family familyGlm4Moe() { return {"glm4_moe", {"Glm4MoeForCausalLM"}, build}; }

} // namespace epigraph
