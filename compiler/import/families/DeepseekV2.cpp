// DeepSeek-V2 and V2-Lite (DeepSeek-AI, 2024): V3's attention, and its layout of experts, which are
// chosen by softmax scores: the best of all (`greedy`), or the best of those groups whose best
// expert is best (`group_limited_greedy`). The numbers follow the published modeling_deepseek.py;
// transformers' own has no `norm_topk_prob`.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/Experts.h"
#include "compiler/import/blocks/LatentAttention.h"

using namespace mlir;

namespace epigraph {
namespace {

void readRouter(const ConfigObject &config, Router &router) {
  if (!router.experts)
    return;
  requireText(config, "scoring_func", "softmax");
  std::string method = config.text("topk_method", "greedy");
  if (method == "greedy")
    router.groups = router.topGroups = 1; // Whatever n_group says.
  else if (method != "group_limited_greedy")
    config.unsupported("topk_method", "\"greedy\" and \"group_limited_greedy\" are");
  // Weights are either normalised or scaled.
  router.normalize = config.flag("norm_topk_prob", false) && router.topK > 1;
  if (router.normalize)
    router.scale = 1;
  checkRouter(config, router, "num_experts_per_tok");
}

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config);
  LatentAttention attention = readLatentAttention(config, decoder);
  DeepseekExperts experts = readDeepseekExperts(config);
  readRouter(config, experts.router);
  requireFalse(config, "mlp_bias");

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return latentAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t layer) {
    return deepseekFeedForward(graph, experts, decoder.inner, x, layer);
  };
  return buildDecoder(config, graph, decoder, parts);
}

} // namespace

Family familyDeepseekV2() { return {"deepseek_v2", {"DeepseekV2ForCausalLM"}, build}; }

} // namespace epigraph
