#include "compiler/import/blocks/QwenExperts.h"

#include <algorithm>

namespace epigraph {

bool QwenExperts::inLayer(int64_t layer) const {
  return (layer + 1) % layerStride == 0 &&
         std::find(denseLayers.begin(), denseLayers.end(), layer) == denseLayers.end();
}

QwenExperts readQwenExperts(const ConfigObject &config, int64_t layers) {
  // transformers 5 writes Qwen3's number under the other name.
  const char *countKey = config.has("num_local_experts") ? "num_local_experts" : "num_experts";
  QwenExperts e{};
  e.router.experts = config.integer(countKey, kExpertCounts);
  e.router.topK = config.integer("num_experts_per_tok", kExpertsPerToken);
  e.router.normalize = config.flag("norm_topk_prob", false);
  checkRouter(config, e.router, "num_experts_per_tok");
  e.inner = config.integer("moe_intermediate_size", {1, 1 << 20});
  e.layerStride = config.integer("decoder_sparse_step", {1, 4096}, 1);
  e.denseLayers = config.integers("mlp_only_layers", {0, layers - 1});
  return e;
}

} // namespace epigraph
