// Generation for any number of requests at once.
//
// Requests wait in a queue until a lane has room for one more sequence and pages for all of its
// positions, so that nothing that has begun ever has to make way. Each step takes one token of
// every sequence that is generating, and fills the rest of the batch with prompts, in the order of
// arrival, in chunks.
#ifndef EPIGRAPH_RUNTIME_SESSION_GENERATOR_H
#define EPIGRAPH_RUNTIME_SESSION_GENERATOR_H

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/session/SamplingOptions.h"
#include "runtime/session/StepDriver.h"

namespace epigraph {

struct GenerationRequest {
  std::vector<int32_t> ids; ///< the prompt; not empty
  int32_t maxTokens = 64;
  std::vector<int32_t> eos; ///< tokens that end the text
  SamplingOptions sampling = {};
};

enum class StopReason {
  EndOfSequence, ///< the last token is one of `eos`
  MaxTokens,
  Context, ///< prompt and text together fill the context
};

struct GenerationResult {
  std::vector<int32_t> ids; ///< what was generated, an end-of-sequence token included
  StopReason reason = StopReason::MaxTokens;
  double firstTokenSeconds = 0; ///< from the start of the call to the first token
  uint64_t seed = 0;            ///< that the tokens follow from, where they are sampled
};

/// Time and work of one call. A step that has both kinds of tokens is divided between them in
/// proportion.
struct GenerationStats {
  int64_t steps = 0;
  int64_t prefillTokens = 0;
  int64_t decodeTokens = 0;
  double prefillSeconds = 0;
  double decodeSeconds = 0;
};

struct GenerationReport {
  std::vector<GenerationResult> results; ///< in the order of the requests
  GenerationStats stats;
};

/// Called with each token as it is chosen: index of the request, token.
using TokenCallback = std::function<void(size_t, int32_t)>;

/// The tokens of a request depend on it alone, whatever else runs with it. Errors: those of
/// StepDriver::checkSequence and checkSampling for any request, before anything runs; those of its
/// steps.
absl::StatusOr<GenerationReport> generateTexts(StepDriver &driver,
                                               absl::Span<const GenerationRequest> requests,
                                               const TokenCallback &onToken);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_GENERATOR_H
