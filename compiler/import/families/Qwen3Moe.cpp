// Qwen3-MoE (Qwen Team, 2025): queries and keys normed head by head, and experts chosen by softmax
// scores in all layers, or in some. The numbers follow transformers' modeling_qwen3_moe.py.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/GroupedAttention.h"
#include "compiler/import/blocks/QwenExperts.h"

using namespace mlir;

namespace epigraph {
namespace {

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config);
  GroupedAttention attention = readGroupedAttention(config, decoder);
  attention.inputBias = attention.outputBias = config.flag("attention_bias", false);
  attention.norm = QueryKeyNorm::EachHead;
  if (config.flag("use_sliding_window", false))
    attention.windows = readWindow(config, decoder.shape.layers);
  QwenExperts experts = readQwenExperts(config, decoder.shape.layers);

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return groupedAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t layer) {
    if (!experts.inLayer(layer))
      return graph.swigluMlp(x, "mlp", decoder.inner);
    GraphBuilder::Scope scope(graph, "mlp");
    RoutedTokens tokens = route(graph, experts.router, x, "gate");
    return swigluExperts(graph, experts.router, x, tokens, experts.inner);
  };
  return buildDecoder(config, graph, decoder, parts);
}

} // namespace

Family familyQwen3Moe() { return {"qwen3_moe", {"Qwen3MoeForCausalLM"}, build}; }

} // namespace epigraph
