// gpt-oss (OpenAI, 2025), from checkpoints whose experts are in bfloat16 or float32: attention with
// biases and sinks, over a window in every other layer; experts with biases and a clamped gate, all
// of a layer in one tensor for each projection. The numbers follow transformers'
// modeling_gpt_oss.py.
#include "compiler/import/Family.h"
#include "compiler/import/blocks/Experts.h"
#include "compiler/import/blocks/GroupedAttention.h"

using namespace mlir;

namespace epigraph {
namespace {

/// The layers' windows; without `layer_types`, the first layer slides, the second does not, and so
/// on.
std::vector<int64_t> readWindows(const ConfigObject &config, int64_t layers) {
  if (config.has("layer_types"))
    return readLayerWindows(config, layers);
  std::vector<int64_t> windows = readWindow(config, layers);
  for (size_t i = 1; i < windows.size(); i += 2)
    windows[i] = 0;
  return windows;
}

struct ClampedExperts {
  Router router;
  int64_t inner;
  double alpha;
  double limit;
};

/// Columns of gate and up take turns in `gate_up_proj`, and matrices are stored transposed:
/// [experts, inputs, outputs].
class ExpertsBuilder {
public:
  ExpertsBuilder(GraphBuilder &graph, const ClampedExperts &settings, int64_t hidden)
      : g_(graph), s_(settings), hidden_(hidden) {}

  Value build(Value x) {
    GraphBuilder::Scope scope(g_, "mlp");
    RoutedTokens tokens = route(g_, s_.router, x, "router");
    GraphBuilder::Scope experts(g_, "experts");
    int64_t count = s_.router.experts, inner = s_.inner;
    Value both = transposed(g_.weight("gate_up_proj", {count, hidden_, 2 * inner}));
    SmallVector<Value> gateUp = everyOther(both, {count, inner, hidden_});
    Value down = transposed(g_.weight("down_proj", {count, inner, hidden_}));
    SmallVector<Value> biases =
        everyOther(g_.weight("gate_up_proj_bias", {count, 2 * inner}), {count, inner});
    biases.push_back(g_.weight("down_proj_bias", {count, hidden_}));
    OpBuilder &b = g_.ops();
    auto clamp = epi::ClampedSwigluAttr::get(b.getContext(), b.getF64FloatAttr(s_.alpha),
                                             b.getF64FloatAttr(s_.limit));
    return epi::ExpertsOp::create(b, g_.loc(), x.getType(), x, tokens.ids, tokens.weights,
                                  gateUp[0], gateUp[1], down, biases, clamp);
  }

private:
  Value transposed(Value w) { return g_.transpose(w, {0, 2, 1}); }

  /// The elements of even and of odd number along dimension 1, each a tensor of `shape`.
  SmallVector<Value> everyOther(Value w, SmallVector<int64_t> shape) {
    SmallVector<int64_t> pairs = shape;
    pairs.insert(pairs.begin() + 2, 2);
    SmallVector<Value> parts = g_.split(g_.reshapeWeight(w, pairs), /*dim=*/2, {1, 1});
    for (Value &part : parts)
      part = g_.reshapeWeight(part, shape);
    return parts;
  }

  GraphBuilder &g_;
  const ClampedExperts &s_;
  int64_t hidden_;
};

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  DecoderSettings decoder = readDecoderSettings(config, {.theta = 150000});
  GroupedAttention attention = readGroupedAttention(config, decoder);
  attention.inputBias = attention.outputBias = config.flag("attention_bias", true);
  attention.sinks = true;
  attention.windows = readWindows(config, decoder.shape.layers);
  if (!config.has("rope_scaling") && !config.has("rope_parameters"))
    config.invalid("rope_scaling", "the settings of YaRN, or rope_parameters");

  const char *topKey =
      config.has("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token";
  ClampedExperts experts{.router = {.experts = config.integer("num_local_experts", kExpertCounts),
                                    .topK = config.integer(topKey, kExpertsPerToken),
                                    .bias = true},
                         .inner = decoder.inner,
                         .alpha = config.number("swiglu_alpha", {1e-3, 1e3}, 1.702),
                         .limit = config.number("swiglu_limit", {1e-3, 1e6}, 7)};
  checkRouter(config, experts.router, topKey);

  LayerParts parts;
  parts.attention = [&](Value x, const StepValues &step, int64_t layer) {
    return groupedAttention(graph, attention, x, step, layer);
  };
  parts.feedForward = [&](Value x, int64_t) {
    return ExpertsBuilder(graph, experts, decoder.shape.hidden).build(x);
  };
  return buildDecoder(config, graph, decoder, parts);
}

} // namespace

Family familyGptOss() { return {"gpt_oss", {"GptOssForCausalLM"}, build}; }

} // namespace epigraph
