#include "compiler/import/blocks/LatentAttention.h"

#include <cmath>

#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {

/// The norms of the low-rank query and of the latent vector: transformers builds them with the
/// default of its norm, whatever rms_norm_eps says.
constexpr double kLatentNormEps = 1e-6;

LatentAttention readLatentAttention(const ConfigObject &config, DecoderSettings &decoder) {
  constexpr IntRange kDims{1, 1 << 16};
  LatentAttention a{};
  a.heads = config.integer("num_attention_heads", {1, 4096});
  if (config.integer("num_key_value_heads", {1, 4096}, a.heads) != a.heads)
    config.invalid("num_key_value_heads", "the value of num_attention_heads");
  a.queryRank = config.integer("q_lora_rank", kDims, 0);
  a.latent = config.integer("kv_lora_rank", kDims);
  a.nopeDims = config.integer("qk_nope_head_dim", kDims);
  a.ropeDims = config.integer("qk_rope_head_dim", kDims);
  a.valueDims = config.integer("v_head_dim", kDims);
  if (a.ropeDims % 2)
    config.invalid("qk_rope_head_dim", "an even number");
  if (decoder.rope.partialFactor != 1)
    config.unsupported("partial_rotary_factor", "qk_rope_head_dim says what is rotated");
  requireFalse(config, "attention_bias");
  a.scale = decoder.rope.softmaxFactor() / std::sqrt(double(a.nopeDims + a.ropeDims));
  a.interleavedRope = config.flag("rope_interleave", true);
  decoder.ropeDims = a.ropeDims;
  return a;
}

namespace {

class LatentAttentionBuilder {
public:
  LatentAttentionBuilder(GraphBuilder &graph, const LatentAttention &settings,
                         const StepValues &step)
      : g_(graph), s_(settings), step_(step) {}

  Value build(Value x, int64_t layer);

private:
  /// The parts of the heads' queries without and with position, the latter rotated.
  std::pair<Value, Value> queries(Value x);
  Value rope(Value x) {
    return epi::RopeOp::create(g_.ops(), g_.loc(), x.getType(), x, step_.ropeTable, step_.step,
                               s_.interleavedRope);
  }

  GraphBuilder &g_;
  const LatentAttention &s_;
  const StepValues &step_;
};

std::pair<Value, Value> LatentAttentionBuilder::queries(Value x) {
  int64_t headDims = s_.nopeDims + s_.ropeDims;
  Value q;
  if (s_.queryRank) {
    Value low = g_.linear(x, "q_a_proj", s_.queryRank);
    q = g_.linear(g_.rmsNorm(low, "q_a_layernorm", kLatentNormEps), "q_b_proj",
                  s_.heads * headDims);
  } else {
    q = g_.linear(x, "q_proj", s_.heads * headDims);
  }
  SmallVector<Value> parts =
      g_.splitLast(g_.reshape(q, {s_.heads, headDims}), {s_.nopeDims, s_.ropeDims});
  return {parts[0], rope(parts[1])};
}

Value LatentAttentionBuilder::build(Value x, int64_t layer) {
  int64_t hidden = cast<RankedTensorType>(x.getType()).getShape().back();
  GraphBuilder::Scope scope(g_, "self_attn");
  auto [q, qRope] = queries(x);

  Value kv = g_.linear(x, "kv_a_proj_with_mqa", s_.latent + s_.ropeDims);
  SmallVector<Value> parts = g_.splitLast(kv, {s_.latent, s_.ropeDims});
  Value latent = g_.rmsNorm(parts[0], "kv_a_layernorm", kLatentNormEps);
  Value kRope = rope(parts[1]);
  Value cache = epi::KvCacheOp::create(g_.ops(), g_.loc(), g_.mlaCacheType(s_.latent, s_.ropeDims),
                                       absl::StrCat("model.layers.", layer));
  cache = epi::KvAppendOp::create(g_.ops(), g_.loc(), cache.getType(), cache, latent, kRope,
                                  step_.step);

  Value up = g_.weight("kv_b_proj.weight", {s_.heads * (s_.nopeDims + s_.valueDims), s_.latent});
  Value o =
      epi::MlaAttentionOp::create(g_.ops(), g_.loc(), g_.rows({s_.heads, s_.valueDims}), q, qRope,
                                  cache, step_.step, up, g_.ops().getF64FloatAttr(s_.scale));
  return g_.linear(g_.reshape(o, {s_.heads * s_.valueDims}), "o_proj", hidden);
}

} // namespace

Value latentAttention(GraphBuilder &graph, const LatentAttention &attention, Value x,
                      const StepValues &step, int64_t layer) {
  return LatentAttentionBuilder(graph, attention, step).build(x, layer);
}

} // namespace epigraph
