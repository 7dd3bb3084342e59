#include "compiler/import/blocks/Decoder.h"

#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {

void requireText(const ConfigObject &config, std::string_view key, std::string_view only) {
  if (config.text(key, only) != only)
    config.unsupported(key, absl::StrCat("\"", abslView(only), "\" is"));
}

void requireFalse(const ConfigObject &config, std::string_view key) {
  if (config.flag(key, false))
    config.unsupported(key, "only false is");
}

DecoderSettings readDecoderSettings(const ConfigObject &config, const RopeDefaults &ropeDefaults) {
  DecoderSettings s{};
  s.shape.layers = config.integer("num_hidden_layers", {1, 1024});
  s.shape.hidden = config.integer("hidden_size", {1, 1 << 18});
  s.shape.vocab = config.integer("vocab_size", {1, 1 << 24});
  s.shape.maxContext = config.integer("max_position_embeddings", {1, 1 << 26});
  s.inner = config.integer("intermediate_size", {1, 1 << 20});
  s.eps = config.number("rms_norm_eps", {1e-12, 1}, 1e-6);
  s.tiedEmbeddings = config.flag("tie_word_embeddings", false);
  requireText(config, "hidden_act", "silu");
  s.rope = readRopeConfig(config, s.shape.maxContext, ropeDefaults);
  return s;
}

namespace {

class DecoderBuilder {
public:
  DecoderBuilder(GraphBuilder &graph, const DecoderSettings &settings, const LayerParts &parts)
      : g_(graph), s_(settings), parts_(parts) {}

  void buildMain();
  void buildPrediction(int64_t layer);

private:
  Value embedding(Value ids, StringRef name);
  Value outputRows(Value x);
  Value layer(Value x, int64_t index);
  std::string layerName(int64_t index) { return absl::StrCat("model.layers.", index); }

  GraphBuilder &g_;
  const DecoderSettings &s_;
  const LayerParts &parts_;
  StepValues step_; ///< of the function being built
};

Value DecoderBuilder::embedding(Value ids, StringRef name) {
  Value table = g_.weight((name + ".weight").str(), {s_.shape.vocab, s_.shape.hidden});
  return epi::EmbeddingOp::create(g_.ops(), g_.loc(), g_.rows({s_.shape.hidden}), ids, table);
}

Value DecoderBuilder::outputRows(Value x) {
  return epi::OutputRowsOp::create(g_.ops(), g_.loc(), x.getType(), x, step_.step);
}

Value DecoderBuilder::layer(Value x, int64_t index) {
  Value normed = g_.rmsNorm(x, "input_layernorm", s_.eps);
  x = g_.add(x, parts_.attention(normed, step_, index));
  normed = g_.rmsNorm(x, "post_attention_layernorm", s_.eps);
  return g_.add(x, parts_.feedForward(normed, index));
}

void DecoderBuilder::buildMain() {
  Type hiddenType = g_.rows({s_.shape.hidden}), logitsType = g_.rows({s_.shape.vocab}, g_.f32());
  auto arguments = g_.beginFunction("main", {{"ids", g_.idsType()}, {"step", g_.stepType()}},
                                    {{"logits", logitsType}, {"hidden", hiddenType}});
  step_ = {arguments[1], g_.ropeTable(s_.rope, s_.ropeDims)};
  Value x = embedding(arguments[0], "model.embed_tokens");
  for (int64_t i = 0; i < s_.shape.layers && !g_.ledger().isHopeless(); ++i) {
    GraphBuilder::Scope scope(g_, layerName(i));
    x = layer(x, i);
  }
  Value hidden = g_.rmsNorm(x, "model.norm", s_.eps);
  if (s_.tiedEmbeddings)
    g_.ledger().ignore("lm_head.weight"); // A second copy of the table, which some writers keep.
  StringRef head = s_.tiedEmbeddings ? "model.embed_tokens" : "lm_head";
  Value logits = g_.linearF32(outputRows(hidden), head, s_.shape.vocab);
  g_.endFunction({logits, hidden});
}

void DecoderBuilder::buildPrediction(int64_t index) {
  Type hiddenType = g_.rows({s_.shape.hidden}), logitsType = g_.rows({s_.shape.vocab}, g_.f32());
  auto arguments = g_.beginFunction(
      "mtp", {{"hidden", hiddenType}, {"ids", g_.idsType()}, {"step", g_.stepType()}},
      {{"logits", logitsType}});
  step_ = {arguments[2], g_.ropeTable(s_.rope, s_.ropeDims)};
  std::string prefix = layerName(index);
  // The embedding and the head are the model's own unless the layer brings copies.
  bool ownTable = g_.hasWeight(prefix + ".embed_tokens.weight");
  bool ownHead = g_.hasWeight(prefix + ".shared_head.head.weight");

  Value next = embedding(arguments[1], ownTable ? prefix + ".embed_tokens" : "model.embed_tokens");
  Value x;
  {
    GraphBuilder::Scope scope(g_, prefix);
    Value pair[] = {g_.rmsNorm(next, "enorm", s_.eps), g_.rmsNorm(arguments[0], "hnorm", s_.eps)};
    x = layer(g_.linear(g_.concatLast(pair), "eh_proj", s_.shape.hidden), index);
    x = outputRows(g_.rmsNorm(x, "shared_head.norm", s_.eps));
  }
  std::string head = ownHead             ? prefix + ".shared_head.head"
                     : s_.tiedEmbeddings ? "model.embed_tokens"
                                         : "lm_head";
  g_.endFunction({g_.linearF32(x, head, s_.shape.vocab)});
}

} // namespace

absl::Status buildDecoder(const ConfigObject &config, GraphBuilder &graph,
                          const DecoderSettings &settings, const LayerParts &parts) {
  EPIGRAPH_RETURN_IF_ERROR(config.problems().status());
  EPIGRAPH_RETURN_IF_ERROR(graph.declareModel(settings.shape));
  DecoderBuilder(graph, settings, parts).buildMain();
  return absl::OkStatus();
}

void buildPrediction(const ConfigObject &config, GraphBuilder &graph,
                     const DecoderSettings &settings, const LayerParts &parts) {
  int64_t count = config.integer("num_nextn_predict_layers", {0, 64}, 0);
  int64_t first = settings.shape.layers;
  auto hasLayer = [&](int64_t i) {
    return graph.ledger().hasPrefix(absl::StrCat("model.layers.", i, "."));
  };
  if (count > 1 && hasLayer(first + 1))
    config.unsupported("num_nextn_predict_layers", "1 is, or 0 to leave them out");
  else if (count > 0 && hasLayer(first))
    DecoderBuilder(graph, settings, parts).buildPrediction(first);
}

} // namespace epigraph
