// What a request may ask of the choice of its tokens.
#ifndef EPIGRAPH_RUNTIME_SESSION_SAMPLINGOPTIONS_H
#define EPIGRAPH_RUNTIME_SESSION_SAMPLINGOPTIONS_H

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "runtime/base/Sampling.h"

namespace epigraph {

/// See Sampling.h for what they mean.
struct SamplingOptions {
  double temperature = 0; ///< 0: the most likely token is taken, and nothing below matters
  int32_t topK = 0;       ///< 0: no such filter
  double topP = 1;        ///< 1: no such filter
  double minP = 0;        ///< 0: no such filter
  /// Of the random numbers. None: one that is drawn for the request, and reported.
  std::optional<uint64_t> seed = std::nullopt;

  bool isGreedy() const { return temperature == 0; }
};

/// Errors: InvalidArgument for a number out of its range; `what` names the request.
absl::Status checkSampling(const SamplingOptions &options, std::string_view what);

/// How the token at `position` of a sequence is chosen.
SamplingRow samplingRow(const SamplingOptions &options, uint64_t seed, int64_t position);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_SAMPLINGOPTIONS_H
