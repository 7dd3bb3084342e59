// Perplexity of a text, in windows.
#ifndef EPIGRAPH_RUNTIME_SESSION_PERPLEXITY_H
#define EPIGRAPH_RUNTIME_SESSION_PERPLEXITY_H

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/session/StepDriver.h"

namespace epigraph {

struct PerplexityReport {
  int64_t tokens = 0;            ///< scored
  double nll = 0;                ///< mean negative log-likelihood of a token, in nats
  double perplexity = 0;         ///< exp(nll)
  std::vector<double> windowNll; ///< the same mean for each window
};

/// Called after each step with the tokens scored so far and in all.
using ScoreProgress = std::function<void(int64_t, int64_t)>;

/// Negative log-likelihood, in nats, of ids[1], ids[2], ... of each sequence, each given all tokens
/// before it. Errors: those of visitLogits; InvalidArgument for a sequence of fewer than two
/// tokens.
absl::StatusOr<std::vector<std::vector<double>>>
scoreTokens(StepDriver &driver, absl::Span<const std::vector<int32_t>> sequences,
            const ScoreProgress &progress = nullptr);

/// Window i is `bos` and the tokens i*window to i*window + window - 1 of `text`, each of which is
/// scored; a last partial window is dropped. `text` was encoded as a whole, without special tokens.
/// Errors: those of scoreTokens; InvalidArgument for a text shorter than a window.
absl::StatusOr<PerplexityReport> perplexity(StepDriver &driver, absl::Span<const int32_t> text,
                                            int32_t bos, int32_t window,
                                            const ScoreProgress &progress = nullptr);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_PERPLEXITY_H
