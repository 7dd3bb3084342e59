#include "compiler/import/blocks/GroupedAttention.h"

#include <cmath>

#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {

constexpr IntRange kWindow{1, 1 << 26};

GroupedAttention readGroupedAttention(const ConfigObject &config, DecoderSettings &decoder) {
  constexpr IntRange kHeads{1, 4096}, kDims{1, 1 << 16};
  GroupedAttention a{};
  a.heads = config.integer("num_attention_heads", kHeads);
  a.keyHeads = config.integer("num_key_value_heads", kHeads, a.heads);
  if (a.heads % a.keyHeads)
    config.invalid("num_key_value_heads",
                   absl::StrCat("a divisor of num_attention_heads (", a.heads, ")"));
  if (config.has("head_dim"))
    a.headDims = config.integer("head_dim", kDims);
  else if (decoder.shape.hidden % a.heads)
    config.invalid("head_dim", "an integer, since num_attention_heads does not divide hidden_size");
  else
    a.headDims = decoder.shape.hidden / a.heads;
  a.eps = decoder.eps;
  decoder.ropeDims =
      static_cast<int64_t>(static_cast<double>(a.headDims) * decoder.rope.partialFactor);
  if (decoder.ropeDims < 2 || decoder.ropeDims % 2)
    config.invalid(config.has("head_dim") ? "head_dim" : "hidden_size",
                   absl::StrCat("a size that lets an even number of a head's dims be rotated; ",
                                decoder.ropeDims, " would be"));
  return a;
}

std::vector<int64_t> readWindow(const ConfigObject &config, int64_t layers) {
  int64_t window = config.integer("sliding_window", kWindow, 0);
  return window ? std::vector<int64_t>(static_cast<size_t>(layers), window)
                : std::vector<int64_t>();
}

std::vector<int64_t> readLayerWindows(const ConfigObject &config, int64_t layers) {
  std::vector<int64_t> windows;
  std::vector<std::string> types = config.texts("layer_types");
  if (types.size() != static_cast<size_t>(layers))
    config.invalid("layer_types", absl::StrCat("one for each of ", layers, " layers"));
  bool valid = true;
  for (const std::string &type : types) {
    bool slides = type == "sliding_attention";
    valid &= slides || type == "full_attention";
    windows.push_back(slides ? config.integer("sliding_window", kWindow) : 0);
  }
  if (!valid)
    config.unsupported("layer_types", "\"full_attention\" and \"sliding_attention\" are");
  return windows;
}

namespace {

class AttentionBuilder {
public:
  AttentionBuilder(GraphBuilder &graph, const GroupedAttention &settings, const StepValues &step)
      : g_(graph), s_(settings), step_(step) {}

  Value build(Value x, int64_t layer) {
    int64_t hidden = cast<RankedTensorType>(x.getType()).getShape().back();
    GraphBuilder::Scope scope(g_, "self_attn");
    Value q = rotated(x, "q_proj", "q_norm", s_.heads);
    Value k = rotated(x, "k_proj", "k_norm", s_.keyHeads);
    Value v = heads(project(x, "v_proj", s_.keyHeads), s_.keyHeads);
    Value o = attend(q, k, v, layer);
    return g_.linear(g_.reshape(o, {s_.heads * s_.headDims}), "o_proj", hidden, s_.outputBias);
  }

private:
  Value project(Value x, StringRef name, int64_t count) {
    return g_.linear(x, name, count * s_.headDims, s_.inputBias);
  }

  Value heads(Value x, int64_t count) { return g_.reshape(x, {count, s_.headDims}); }

  /// The heads of queries or of keys, normed and turned by their positions.
  Value rotated(Value x, StringRef projection, StringRef norm, int64_t count) {
    Value y = project(x, projection, count);
    if (s_.norm == QueryKeyNorm::AllHeads)
      y = g_.rmsNorm(y, norm, s_.eps);
    y = heads(y, count);
    if (s_.norm == QueryKeyNorm::EachHead)
      y = g_.rmsNorm(y, norm, s_.eps);
    return epi::RopeOp::create(g_.ops(), g_.loc(), y.getType(), y, step_.ropeTable, step_.step,
                               /*interleaved=*/false);
  }

  Value attend(Value q, Value k, Value v, int64_t layer) {
    OpBuilder &b = g_.ops();
    Value cache =
        epi::KvCacheOp::create(b, g_.loc(), g_.kvCacheType(s_.keyHeads, s_.headDims, s_.headDims),
                               absl::StrCat("model.layers.", layer));
    cache = epi::KvAppendOp::create(b, g_.loc(), cache.getType(), cache, k, v, step_.step);
    Value sinks = s_.sinks ? g_.weight("sinks", {s_.heads}) : Value();
    int64_t window = s_.windows.empty() ? 0 : s_.windows[static_cast<size_t>(layer)];
    double scale = 1 / std::sqrt(static_cast<double>(s_.headDims));
    return epi::AttentionOp::create(b, g_.loc(), q.getType(), q, cache, step_.step, sinks,
                                    b.getF64FloatAttr(scale),
                                    window ? b.getI64IntegerAttr(window) : IntegerAttr());
  }

  GraphBuilder &g_;
  const GroupedAttention &s_;
  const StepValues &step_;
};

} // namespace

Value groupedAttention(GraphBuilder &graph, const GroupedAttention &attention, Value x,
                       const StepValues &step, int64_t layer) {
  return AttentionBuilder(graph, attention, step).build(x, layer);
}

} // namespace epigraph
