// Qwen3, the dense models (Qwen Team, 2025): Llama with queries and keys normed head by head. The
// numbers follow transformers' modeling_qwen3.py.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/GroupedAttention.h"

using namespace mlir;

namespace epigraph {
namespace {

/// `layer_types` if it is there; else all layers from max_window_layers on slide.
std::vector<int64_t> readWindows(const ConfigObject &config, int64_t layers) {
  if (config.has("layer_types"))
    return readLayerWindows(config, layers);
  if (!config.flag("use_sliding_window", false))
    return {};
  std::vector<int64_t> windows = readWindow(config, layers);
  int64_t first = config.integer("max_window_layers", {0, 4096}, 28);
  for (size_t i = 0; i < windows.size() && static_cast<int64_t>(i) < first; ++i)
    windows[i] = 0;
  return windows;
}

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config);
  GroupedAttention attention = readGroupedAttention(config, decoder);
  attention.inputBias = attention.outputBias = config.flag("attention_bias", false);
  attention.norm = QueryKeyNorm::EachHead;
  attention.windows = readWindows(config, decoder.shape.layers);

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return groupedAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t) { return graph.swigluMlp(x, "mlp", decoder.inner); };
  return buildDecoder(config, graph, decoder, parts);
}

} // namespace

Family familyQwen3() { return {"qwen3", {"Qwen3ForCausalLM"}, build}; }

} // namespace epigraph
