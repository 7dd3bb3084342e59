#include "compiler/import/blocks/Experts.h"

#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {

void checkRouter(const ConfigObject &config, const Router &router, std::string_view key) {
  int64_t size = router.experts / router.groups;
  int64_t least = router.groupScore == epi::GroupScore::Top2Sum ? 2 : 1;
  if (router.experts % router.groups || size < least)
    config.invalid("n_group", absl::StrCat("a divisor of the number of experts (", router.experts,
                                           ") that leaves ", least, " or more in a group"));
  else if (router.topK > size * router.topGroups)
    config.invalid(key, router.groups == 1
                            ? absl::StrCat("at most the number of experts, ", router.experts)
                            : absl::StrCat("at most the ", size, " experts of each of ",
                                           router.topGroups, " groups"));
}

RoutedTokens route(GraphBuilder &graph, const Router &router, Value x, StringRef name) {
  OpBuilder &b = graph.ops();
  Value logits = graph.linearF32(x, name, router.experts, router.bias);
  Value scores = router.score == epi::ScoreFunction::Sigmoid
                     ? graph.sigmoid(logits)
                     : epi::SoftmaxOp::create(b, graph.loc(), logits.getType(), logits).getResult();
  Value correction;
  if (router.correctionBias)
    correction = graph.weightF32((name + ".e_score_correction_bias").str(), {router.experts});
  MLIRContext *context = b.getContext();
  auto route = epi::RouteOp::create(
      b, graph.loc(), graph.rows({router.topK}, b.getI32Type()),
      graph.rows({router.topK}, graph.f32()), scores, correction,
      epi::ScoreFunctionAttr::get(context, epi::ScoreFunction::Identity),
      b.getI64IntegerAttr(router.topK), b.getI64IntegerAttr(router.groups),
      b.getI64IntegerAttr(router.topGroups), epi::GroupScoreAttr::get(context, router.groupScore),
      router.normalize ? b.getUnitAttr() : UnitAttr(), b.getF64FloatAttr(router.scale));
  return {route.getIds(), route.getWeights()};
}

Value swigluExperts(GraphBuilder &graph, const Router &router, Value x, const RoutedTokens &routed,
                    int64_t inner, const ExpertNames &names) {
  int64_t hidden = cast<RankedTensorType>(x.getType()).getShape().back();
  auto stack = [&](StringRef name, int64_t outputs, int64_t inputs) {
    return graph.weightStack(("experts.{}." + name + ".weight").str(), router.experts,
                             {outputs, inputs});
  };
  Value gate = stack(names.gate, inner, hidden);
  Value up = stack(names.up, inner, hidden);
  Value down = stack(names.down, hidden, inner);
  return epi::ExpertsOp::create(graph.ops(), graph.loc(), x.getType(), x, routed.ids,
                                routed.weights, gate, up, down, ValueRange(),
                                epi::ClampedSwigluAttr());
}

DeepseekExperts readDeepseekExperts(const ConfigObject &config) {
  DeepseekExperts e;
  e.router.experts = config.integer("n_routed_experts", kExpertCounts, 0);
  if (!e.router.experts)
    return e;
  e.shared = config.integer("n_shared_experts", {0, 64}, 0);
  e.inner = config.integer("moe_intermediate_size", {1, 1 << 20});
  e.firstLayer = config.integer("first_k_dense_replace", {0, 4096}, 0);
  e.layerStride = config.integer("moe_layer_freq", {1, 4096}, 1);
  e.router.groups = config.integer("n_group", kExpertCounts, 1);
  e.router.topGroups = config.integer("topk_group", {1, e.router.groups}, 1);
  e.router.topK = config.integer("num_experts_per_tok", kExpertsPerToken);
  e.router.scale = config.number("routed_scaling_factor", {1e-6, 1e6}, 1);
  return e;
}

void readCorrectedRouter(const ConfigObject &config, DeepseekExperts &experts) {
  if (!experts.router.experts)
    return;
  experts.router.score = epi::ScoreFunction::Sigmoid;
  experts.router.groupScore = epi::GroupScore::Top2Sum;
  experts.router.correctionBias = true;
  experts.router.normalize = config.flag("norm_topk_prob", true);
  requireText(config, "topk_method", "noaux_tc");
  requireText(config, "scoring_func", "sigmoid");
  checkRouter(config, experts.router, "num_experts_per_tok");
}

Value deepseekFeedForward(GraphBuilder &graph, const DeepseekExperts &experts, int64_t denseInner,
                          Value x, int64_t layer) {
  if (!experts.inLayer(layer))
    return graph.swigluMlp(x, "mlp", denseInner);
  GraphBuilder::Scope scope(graph, "mlp");
  RoutedTokens tokens = route(graph, experts.router, x, "gate");
  Value routed = swigluExperts(graph, experts.router, x, tokens, experts.inner);
  if (!experts.shared)
    return routed;
  return graph.add(routed, graph.swigluMlp(x, "shared_experts", experts.shared * experts.inner));
}

} // namespace epigraph
