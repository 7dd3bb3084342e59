// Mixtral (Jiang et al., 2024): Llama with experts in place of every feed-forward network, two of
// eight for each token, chosen by softmax scores. The numbers follow transformers'
// modeling_mixtral.py.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/Experts.h"
#include "compiler/import/blocks/GroupedAttention.h"

using namespace mlir;

namespace epigraph {
namespace {

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config);
  GroupedAttention attention = readGroupedAttention(config, decoder);
  attention.windows = readWindow(config, decoder.shape.layers);
  Router router{.experts = config.integer("num_local_experts", kExpertCounts),
                .topK = config.integer("num_experts_per_tok", kExpertsPerToken)};
  checkRouter(config, router, "num_experts_per_tok");

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return groupedAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t) {
    GraphBuilder::Scope scope(graph, "block_sparse_moe");
    RoutedTokens tokens = route(graph, router, x, "gate");
    return swigluExperts(graph, router, x, tokens, decoder.inner,
                         {.gate = "w1", .up = "w3", .down = "w2"});
  };
  return buildDecoder(config, graph, decoder, parts);
}

} // namespace

Family familyMixtral() { return {"mixtral", {"MixtralForCausalLM"}, build}; }

} // namespace epigraph
