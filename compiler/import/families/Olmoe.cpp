// OLMoE (Muennighoff et al., 2024): queries and keys normed over all heads at once, and experts
// chosen by softmax scores in all layers. The numbers follow transformers' modeling_olmoe.py.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/Experts.h"
#include "compiler/import/blocks/GroupedAttention.h"

using namespace mlir;

namespace epigraph {
namespace {

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config);
  GroupedAttention attention = readGroupedAttention(config, decoder);
  attention.inputBias = attention.outputBias = config.flag("attention_bias", false);
  attention.norm = QueryKeyNorm::AllHeads;
  if (config.has("clip_qkv"))
    config.unsupported("clip_qkv", "null is, which leaves queries, keys and values as they are");
  Router router{.experts = config.integer("num_experts", kExpertCounts),
                .topK = config.integer("num_experts_per_tok", kExpertsPerToken),
                .normalize = config.flag("norm_topk_prob", false)};
  checkRouter(config, router, "num_experts_per_tok");

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return groupedAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t) {
    GraphBuilder::Scope scope(graph, "mlp");
    RoutedTokens tokens = route(graph, router, x, "gate");
    return swigluExperts(graph, router, x, tokens, decoder.inner);
  };
  return buildDecoder(config, graph, decoder, parts);
}

} // namespace

Family familyOlmoe() { return {"olmoe", {"OlmoeForCausalLM"}, build}; }

} // namespace epigraph
