// Qwen1.5-MoE and Qwen2-MoE (Qwen Team, 2024): biases of queries, keys and values, and beside the
// experts a shared one, whose output each token scales by a sigmoid of its own. The numbers follow
// transformers' modeling_qwen2_moe.py.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/GroupedAttention.h"
#include "compiler/import/blocks/QwenExperts.h"

using namespace mlir;

namespace epigraph {
namespace {

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config);
  GroupedAttention attention = readGroupedAttention(config, decoder);
  attention.inputBias = config.flag("qkv_bias", true);
  // Which layers slide has been defined in several ways, so a list must say it.
  if (config.has("layer_types"))
    attention.windows = readLayerWindows(config, decoder.shape.layers);
  else if (config.flag("use_sliding_window", false))
    config.unsupported("use_sliding_window", "give layer_types, or false");
  QwenExperts experts = readQwenExperts(config, decoder.shape.layers);
  int64_t sharedInner = config.integer("shared_expert_intermediate_size", {1, 1 << 20});

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return groupedAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t layer) {
    if (!experts.inLayer(layer))
      return graph.swigluMlp(x, "mlp", decoder.inner);
    GraphBuilder::Scope scope(graph, "mlp");
    RoutedTokens tokens = route(graph, experts.router, x, "gate");
    Value routed = swigluExperts(graph, experts.router, x, tokens, experts.inner);
    Value share = graph.sigmoid(graph.linear(x, "shared_expert_gate", 1));
    Value shared = graph.swigluMlp(x, "shared_expert", sharedInner);
    return graph.add(routed, graph.mul(shared, share));
  };
  return buildDecoder(config, graph, decoder, parts);
}

} // namespace

Family familyQwen2Moe() { return {"qwen2_moe", {"Qwen2MoeForCausalLM"}, build}; }

} // namespace epigraph
