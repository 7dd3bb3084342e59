// Rotary embedding settings, in either spelling that checkpoints use: `rope_theta` and
// `rope_scaling` (until 2025), or `rope_parameters` (transformers 5).
#ifndef EPIGRAPH_COMPILER_IMPORT_ROPECONFIG_H
#define EPIGRAPH_COMPILER_IMPORT_ROPECONFIG_H

#include <optional>

#include "compiler/import/Config.h"

namespace epigraph {

/// YaRN (Peng et al., 2023), as transformers reads it.
struct YarnConfig {
  double factor = 1;    ///< how much longer the context became
  int64_t original = 0; ///< positions before that
  double betaFast = 32;
  double betaSlow = 1;
  double mscale = 0;          ///< 0: not given
  double mscaleAllDim = 0;    ///< 0: not given
  double attentionFactor = 0; ///< 0: not given
  bool truncate = true;       ///< the ramp between frequencies ends at whole pairs
};

/// Llama 3.1's way to a longer context.
struct Llama3RopeConfig {
  double factor;    ///< how much longer the context became
  int64_t original; ///< positions before that
  double lowFreqFactor;
  double highFreqFactor;
};

struct RopeConfig {
  double theta = 10000;
  std::optional<YarnConfig> yarn;
  std::optional<Llama3RopeConfig> llama3; ///< not beside yarn
  double partialFactor = 1;               ///< share of a head's dims that are rotated

  /// What cosines and sines are multiplied with: `attention_factor` if given, else
  /// mscale(factor, mscale) / mscale(factor, mscale_all_dim) if both are given, else
  /// mscale(factor, 1); 1 without YaRN.
  double magnitude() const;

  /// What DeepSeek multiplies the softmax scale with: mscale(factor, mscale_all_dim)^2, or 1.
  double softmaxFactor() const;
};

/// What a family assumes where the configuration says nothing.
struct RopeDefaults {
  double theta = 10000;
  double partialFactor = 1;
};

/// Reads the settings of a model made for `maxContext` positions. Records kinds of scaling other
/// than "default", "yarn" and "llama3" as unsupported.
RopeConfig readRopeConfig(const ConfigObject &config, int64_t maxContext,
                          const RopeDefaults &defaults = {});

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_ROPECONFIG_H
