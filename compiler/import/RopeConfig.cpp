#include "compiler/import/RopeConfig.h"

#include <cmath>

namespace epigraph {
namespace {

/// 0.1 m ln(factor) + 1: how much attention logits must grow with the context.
double yarnMscale(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

YarnConfig readYarn(const ConfigObject &scaling, int64_t maxContext) {
  constexpr NumberRange kScale{0, 1000};
  YarnConfig yarn;
  yarn.factor = scaling.number("factor", {1, 1e6});
  yarn.original =
      scaling.integer("original_max_position_embeddings", {1, int64_t(1) << 31}, maxContext);
  yarn.betaFast = scaling.number("beta_fast", {1e-3, 1e6}, 32);
  yarn.betaSlow = scaling.number("beta_slow", {1e-3, 1e6}, 1);
  yarn.mscale = scaling.number("mscale", kScale, 0);
  yarn.mscaleAllDim = scaling.number("mscale_all_dim", kScale, 0);
  yarn.attentionFactor = scaling.number("attention_factor", kScale, 0);
  yarn.truncate = scaling.flag("truncate", true);
  return yarn;
}

Llama3RopeConfig readLlama3(const ConfigObject &scaling) {
  constexpr NumberRange kFactor{1e-3, 1e6};
  Llama3RopeConfig llama3;
  llama3.factor = scaling.number("factor", {1, 1e6});
  llama3.original = scaling.integer("original_max_position_embeddings", {1, int64_t(1) << 31});
  llama3.lowFreqFactor = scaling.number("low_freq_factor", kFactor);
  llama3.highFreqFactor = scaling.number("high_freq_factor", kFactor);
  if (llama3.highFreqFactor <= llama3.lowFreqFactor)
    scaling.invalid("high_freq_factor", "more than low_freq_factor");
  return llama3;
}

} // namespace

double RopeConfig::magnitude() const {
  if (!yarn)
    return 1;
  if (yarn->attentionFactor > 0)
    return yarn->attentionFactor;
  if (yarn->mscale > 0 && yarn->mscaleAllDim > 0)
    return yarnMscale(yarn->factor, yarn->mscale) / yarnMscale(yarn->factor, yarn->mscaleAllDim);
  return yarnMscale(yarn->factor, 1);
}

double RopeConfig::softmaxFactor() const {
  if (!yarn || yarn->mscaleAllDim <= 0)
    return 1;
  double mscale = yarnMscale(yarn->factor, yarn->mscaleAllDim);
  return mscale * mscale;
}

RopeConfig readRopeConfig(const ConfigObject &config, int64_t maxContext,
                          const RopeDefaults &defaults) {
  constexpr NumberRange kTheta{1, 1e15};
  RopeConfig rope;
  // `rope_parameters` holds theta itself; `rope_scaling` stands beside `rope_theta`, and is
  // missing where nothing is scaled.
  bool isNew = config.has("rope_parameters");
  ConfigObject scaling = config.object(isNew ? "rope_parameters" : "rope_scaling");
  const ConfigObject &thetaHolder = isNew && scaling.has("rope_theta") ? scaling : config;
  rope.theta = thetaHolder.number("rope_theta", kTheta, defaults.theta);

  const ConfigObject &partHolder = scaling.has("partial_rotary_factor") ? scaling : config;
  rope.partialFactor =
      partHolder.number("partial_rotary_factor", {1e-3, 1}, defaults.partialFactor);

  const char *typeKey = scaling.has("rope_type") ? "rope_type" : "type";
  std::string type = scaling.text(typeKey, "default");
  if (type == "yarn")
    rope.yarn = readYarn(scaling, maxContext);
  else if (type == "llama3")
    rope.llama3 = readLlama3(scaling);
  else if (type != "default")
    scaling.unsupported(typeKey, "\"default\", \"yarn\" and \"llama3\" are");
  return rope;
}

} // namespace epigraph
