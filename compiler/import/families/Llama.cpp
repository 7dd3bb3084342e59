// Llama 2 and 3 (Meta, 2023 and 2024): the decoder that all others here descend from; grouped-query
// attention and one swiglu network in every layer. The numbers follow transformers'
// modeling_llama.py.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/GroupedAttention.h"

using namespace mlir;

namespace epigraph {
namespace {

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config);
  GroupedAttention attention = readGroupedAttention(config, decoder);
  attention.inputBias = attention.outputBias = config.flag("attention_bias", false);
  bool bias = config.flag("mlp_bias", false);

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return groupedAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t) {
    return graph.swigluMlp(x, "mlp", decoder.inner, bias);
  };
  return buildDecoder(config, graph, decoder, parts);
}

} // namespace

Family familyLlama() { return {"llama", {"LlamaForCausalLM"}, build}; }

} // namespace epigraph
