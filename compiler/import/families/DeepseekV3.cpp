// DeepSeek-V3 and R1 (DeepSeek-AI, 2024): multi-head latent attention, with or without a low-rank
// query; YaRN; dense first layers, then experts chosen by sigmoid scores with a correction bias
// and group limits, beside shared experts; a multi-token-prediction layer as a second function.
// The numbers follow transformers' modeling_deepseek_v3.py, which has no prediction layer; that
// one follows the technical report, section 2.2.
#include <cmath>

#include "compiler/import/Family.h"
#include "compiler/import/RopeConfig.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

/// The norms of the low-rank query and of the latent vector: transformers builds them with the
/// default of its norm, whatever rms_norm_eps says.
constexpr double kLatentNormEps = 1e-6;

struct Settings {
  ModelShape shape;
  double eps;
  RopeConfig rope;
  bool interleavedRope;
  bool tiedEmbeddings;
  // Attention.
  int64_t heads;
  int64_t queryRank; ///< 0: the query is projected directly
  int64_t latent;
  int64_t nopeDims; ///< of a head's query and key, without position
  int64_t ropeDims; ///< of a head's query, and of the key that heads share
  int64_t valueDims;
  // Feed-forward.
  int64_t inner;
  int64_t experts; ///< 0: all layers are dense
  int64_t sharedExperts;
  int64_t expertInner;
  int64_t firstExpertLayer;
  int64_t expertLayerStride;
  // Routing.
  int64_t topK;
  int64_t groups;
  int64_t topGroups;
  bool normalizeWeights;
  double weightScale;

  bool hasExperts(int64_t layer) const {
    return experts > 0 && layer >= firstExpertLayer && layer % expertLayerStride == 0;
  }
};

void refuse(const ConfigObject &config, std::string_view key, std::string_view only,
            std::string_view fallback) {
  if (config.text(key, fallback) != only)
    config.unsupported(key, absl::StrCat("\"", abslView(only), "\" is"));
}

void readAttention(const ConfigObject &config, Settings &s) {
  constexpr IntRange kDims{1, 1 << 16};
  s.heads = config.integer("num_attention_heads", {1, 4096});
  if (config.integer("num_key_value_heads", {1, 4096}, s.heads) != s.heads)
    config.invalid("num_key_value_heads", "the value of num_attention_heads");
  s.queryRank = config.integer("q_lora_rank", kDims, 0);
  s.latent = config.integer("kv_lora_rank", kDims);
  s.nopeDims = config.integer("qk_nope_head_dim", kDims);
  s.ropeDims = config.integer("qk_rope_head_dim", kDims);
  s.valueDims = config.integer("v_head_dim", kDims);
  if (s.ropeDims % 2)
    config.invalid("qk_rope_head_dim", "an even number");
  if (config.flag("attention_bias", false))
    config.unsupported("attention_bias", "only false is");
  s.rope = readRopeConfig(config, s.shape.maxContext);
  s.interleavedRope = config.flag("rope_interleave", true);
}

void readExperts(const ConfigObject &config, Settings &s) {
  constexpr IntRange kCount{1, 1 << 14};
  s.experts = config.integer("n_routed_experts", kCount, 0);
  if (!s.experts)
    return;
  s.sharedExperts = config.integer("n_shared_experts", {0, 64}, 0);
  s.expertInner = config.integer("moe_intermediate_size", {1, 1 << 20});
  s.firstExpertLayer = config.integer("first_k_dense_replace", {0, 4096}, 0);
  s.expertLayerStride = config.integer("moe_layer_freq", {1, 4096}, 1);
  s.groups = config.integer("n_group", kCount, 1);
  s.topGroups = config.integer("topk_group", {1, s.groups}, 1);
  s.topK = config.integer("num_experts_per_tok", {1, 256});
  s.normalizeWeights = config.flag("norm_topk_prob", true);
  s.weightScale = config.number("routed_scaling_factor", {1e-6, 1e6}, 1);
  refuse(config, "topk_method", "noaux_tc", "noaux_tc");
  refuse(config, "scoring_func", "sigmoid", "sigmoid");
  if (s.experts % s.groups || s.experts / s.groups < 2)
    config.invalid("n_group", absl::StrCat("a divisor of n_routed_experts (", s.experts,
                                           ") that leaves two experts or more in a group"));
  else if (s.topK > s.experts / s.groups * s.topGroups)
    config.invalid("num_experts_per_tok",
                   absl::StrCat("at most the ", s.experts / s.groups, " experts of each of ",
                                s.topGroups, " groups"));
}

Settings readSettings(const ConfigObject &config) {
  Settings s{};
  s.shape.layers = config.integer("num_hidden_layers", {1, 1024});
  s.shape.hidden = config.integer("hidden_size", {1, 1 << 18});
  s.shape.vocab = config.integer("vocab_size", {1, 1 << 24});
  s.shape.maxContext = config.integer("max_position_embeddings", {1, 1 << 26});
  s.inner = config.integer("intermediate_size", {1, 1 << 20});
  s.eps = config.number("rms_norm_eps", {1e-12, 1}, 1e-6);
  s.tiedEmbeddings = config.flag("tie_word_embeddings", false);
  refuse(config, "hidden_act", "silu", "silu");
  readAttention(config, s);
  readExperts(config, s);
  return s;
}

/// Builds the functions of one model.
class DeepseekV3Builder {
public:
  DeepseekV3Builder(const Settings &settings, GraphBuilder &graph) : s_(settings), g_(graph) {}

  void buildMain();
  void buildPrediction(int64_t layer);

private:
  Value decoderLayer(Value x, int64_t index);
  Value attention(Value x, const std::string &cacheName);
  std::pair<Value, Value> queries(Value x);
  Value rope(Value x);
  Value experts(Value x);
  Value embedding(Value ids, StringRef name);
  Value outputRows(Value x);

  const Settings &s_;
  GraphBuilder &g_;
  Value step_;  ///< of the function being built
  Value table_; ///< its cosines and sines
};

Value DeepseekV3Builder::embedding(Value ids, StringRef name) {
  Value table = g_.weight((name + ".weight").str(), {s_.shape.vocab, s_.shape.hidden});
  return epi::EmbeddingOp::create(g_.ops(), g_.loc(), g_.rows({s_.shape.hidden}), ids, table);
}

Value DeepseekV3Builder::outputRows(Value x) {
  return epi::OutputRowsOp::create(g_.ops(), g_.loc(), x.getType(), x, step_);
}

Value DeepseekV3Builder::rope(Value x) {
  return epi::RopeOp::create(g_.ops(), g_.loc(), x.getType(), x, table_, step_, s_.interleavedRope);
}

/// The parts of the heads' queries without and with position, the latter rotated.
std::pair<Value, Value> DeepseekV3Builder::queries(Value x) {
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

Value DeepseekV3Builder::attention(Value x, const std::string &cacheName) {
  GraphBuilder::Scope scope(g_, "self_attn");
  auto [q, qRope] = queries(x);

  Value kv = g_.linear(x, "kv_a_proj_with_mqa", s_.latent + s_.ropeDims);
  SmallVector<Value> parts = g_.splitLast(kv, {s_.latent, s_.ropeDims});
  Value latent = g_.rmsNorm(parts[0], "kv_a_layernorm", kLatentNormEps);
  Value kRope = rope(parts[1]);
  Value cache = epi::KvCacheOp::create(g_.ops(), g_.loc(), g_.mlaCacheType(s_.latent, s_.ropeDims),
                                       cacheName);
  cache = epi::KvAppendOp::create(g_.ops(), g_.loc(), cache.getType(), cache, latent, kRope, step_);

  Value up = g_.weight("kv_b_proj.weight", {s_.heads * (s_.nopeDims + s_.valueDims), s_.latent});
  double scale = s_.rope.softmaxFactor() / std::sqrt(double(s_.nopeDims + s_.ropeDims));
  Value o = epi::MlaAttentionOp::create(g_.ops(), g_.loc(), g_.rows({s_.heads, s_.valueDims}), q,
                                        qRope, cache, step_, up, g_.ops().getF64FloatAttr(scale));
  return g_.linear(g_.reshape(o, {s_.heads * s_.valueDims}), "o_proj", s_.shape.hidden);
}

Value DeepseekV3Builder::experts(Value x) {
  GraphBuilder::Scope scope(g_, "mlp");
  OpBuilder &b = g_.ops();
  Value logits = g_.linearF32(x, "gate", s_.experts);
  Value bias = g_.weightF32("gate.e_score_correction_bias", {s_.experts});
  MLIRContext *context = b.getContext();
  auto route = epi::RouteOp::create(
      b, g_.loc(), g_.rows({s_.topK}, b.getI32Type()), g_.rows({s_.topK}, g_.f32()), logits, bias,
      epi::ScoreFunctionAttr::get(context, epi::ScoreFunction::Sigmoid),
      b.getI64IntegerAttr(s_.topK), b.getI64IntegerAttr(s_.groups),
      b.getI64IntegerAttr(s_.topGroups),
      epi::GroupScoreAttr::get(context, epi::GroupScore::Top2Sum),
      s_.normalizeWeights ? b.getUnitAttr() : UnitAttr(), b.getF64FloatAttr(s_.weightScale));

  int64_t hidden = s_.shape.hidden, inner = s_.expertInner;
  Value gate = g_.weightStack("experts.{}.gate_proj.weight", s_.experts, {inner, hidden});
  Value up = g_.weightStack("experts.{}.up_proj.weight", s_.experts, {inner, hidden});
  Value down = g_.weightStack("experts.{}.down_proj.weight", s_.experts, {hidden, inner});
  Value routed = epi::ExpertsOp::create(b, g_.loc(), x.getType(), x, route.getIds(),
                                        route.getWeights(), gate, up, down, ValueRange(),
                                        epi::ClampedSwigluAttr());
  if (!s_.sharedExperts)
    return routed;
  return g_.add(routed, g_.swigluMlp(x, "shared_experts", s_.sharedExperts * inner));
}

Value DeepseekV3Builder::decoderLayer(Value x, int64_t index) {
  Value normed = g_.rmsNorm(x, "input_layernorm", s_.eps);
  x = g_.add(x, attention(normed, absl::StrCat("model.layers.", index)));
  normed = g_.rmsNorm(x, "post_attention_layernorm", s_.eps);
  return g_.add(x, s_.hasExperts(index) ? experts(normed) : g_.swigluMlp(normed, "mlp", s_.inner));
}

/// main(ids, step) -> (logits of the output rows, hidden states of all tokens).
void DeepseekV3Builder::buildMain() {
  Type hiddenType = g_.rows({s_.shape.hidden}), logitsType = g_.rows({s_.shape.vocab}, g_.f32());
  auto arguments = g_.beginFunction("main", {{"ids", g_.idsType()}, {"step", g_.stepType()}},
                                    {{"logits", logitsType}, {"hidden", hiddenType}});
  step_ = arguments[1];
  table_ = g_.ropeTable(s_.rope, s_.ropeDims);
  Value x = embedding(arguments[0], "model.embed_tokens");
  for (int64_t i = 0; i < s_.shape.layers; ++i) {
    GraphBuilder::Scope scope(g_, absl::StrCat("model.layers.", i));
    x = decoderLayer(x, i);
  }
  Value hidden = g_.rmsNorm(x, "model.norm", s_.eps);
  if (s_.tiedEmbeddings)
    g_.ledger().ignore("lm_head.weight"); // A second copy of the table, which some writers keep.
  StringRef head = s_.tiedEmbeddings ? "model.embed_tokens" : "lm_head";
  Value logits = g_.linearF32(outputRows(hidden), head, s_.shape.vocab);
  g_.endFunction({logits, hidden});
}

/// mtp(hidden states of main, ids of the next tokens, step) -> logits of the tokens after those.
void DeepseekV3Builder::buildPrediction(int64_t layer) {
  Type hiddenType = g_.rows({s_.shape.hidden}), logitsType = g_.rows({s_.shape.vocab}, g_.f32());
  auto arguments = g_.beginFunction(
      "mtp", {{"hidden", hiddenType}, {"ids", g_.idsType()}, {"step", g_.stepType()}},
      {{"logits", logitsType}});
  step_ = arguments[2];
  table_ = g_.ropeTable(s_.rope, s_.ropeDims);
  std::string prefix = absl::StrCat("model.layers.", layer);
  // The embedding and the head are the model's own unless the layer brings copies.
  bool ownTable = g_.hasWeight(prefix + ".embed_tokens.weight");
  bool ownHead = g_.hasWeight(prefix + ".shared_head.head.weight");

  Value next = embedding(arguments[1], ownTable ? prefix + ".embed_tokens" : "model.embed_tokens");
  Value x;
  {
    GraphBuilder::Scope scope(g_, prefix);
    Value pair[] = {g_.rmsNorm(next, "enorm", s_.eps), g_.rmsNorm(arguments[0], "hnorm", s_.eps)};
    x = decoderLayer(g_.linear(g_.concatLast(pair), "eh_proj", s_.shape.hidden), layer);
    x = outputRows(g_.rmsNorm(x, "shared_head.norm", s_.eps));
  }
  std::string head = ownHead             ? prefix + ".shared_head.head"
                     : s_.tiedEmbeddings ? "model.embed_tokens"
                                         : "lm_head";
  g_.endFunction({g_.linearF32(x, head, s_.shape.vocab)});
}

absl::Status build(const ConfigObject &config, GraphBuilder &graph) {
  Settings settings = readSettings(config);
  int64_t predictionLayers = config.integer("num_nextn_predict_layers", {0, 64}, 0);
  EPIGRAPH_RETURN_IF_ERROR(config.problems().status());
  EPIGRAPH_RETURN_IF_ERROR(graph.declareModel(settings.shape));
  DeepseekV3Builder builder(settings, graph);
  builder.buildMain();

  // Some checkpoints leave the prediction layers out and still count them.
  int64_t first = settings.shape.layers;
  auto hasLayer = [&](int64_t i) {
    return graph.ledger().hasPrefix(absl::StrCat("model.layers.", i, "."));
  };
  if (predictionLayers > 1 && hasLayer(first + 1))
    config.unsupported("num_nextn_predict_layers", "1 is, or 0 to leave them out");
  else if (predictionLayers > 0 && hasLayer(first))
    builder.buildPrediction(first);
  return absl::OkStatus();
}

} // namespace

Family familyDeepseekV3() { return {"deepseek_v3", {"DeepseekV3ForCausalLM"}, build}; }

} // namespace epigraph
