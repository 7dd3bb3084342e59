// Using a model: generation, logits, scores. The one interface that the command line and Python go
// through.
#ifndef EPIGRAPH_RUNTIME_SESSION_SESSION_H
#define EPIGRAPH_RUNTIME_SESSION_SESSION_H

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/session/Generator.h"
#include "runtime/session/PassageRunner.h"
#include "runtime/session/Perplexity.h"
#include "runtime/session/StepDriver.h"

namespace epigraph {

/// Calls are independent of each other: each starts with empty caches. Not thread-safe.
class Session {
public:
  /// The executor must outlive the session. `interrupted` is asked before each step.
  explicit Session(StepExecutor &executor, Interrupted interrupted = nullptr);

  const ModelInfo &info() const { return driver.info(); }

  /// See Generator.h.
  absl::StatusOr<GenerationReport> generate(absl::Span<const GenerationRequest> requests,
                                            const TokenCallback &onToken = nullptr);

  /// [ids][vocab] logits after each token. Errors: those of visitLogits.
  absl::StatusOr<std::vector<float>> logits(absl::Span<const int32_t> ids);

  /// [ids][vocab] logits of the MTP layer, given each token and the one after it.
  /// Errors: those of visitLogits.
  absl::StatusOr<std::vector<float>> mtpLogits(absl::Span<const int32_t> ids,
                                               absl::Span<const int32_t> nextIds);

  /// The rows of `logits` or `mtpLogits` one at a time, for results that are too large to hold. See
  /// PassageRunner.h.
  absl::Status visit(const Passage &passage, const RowVisitor &visitor);

  /// Negative log-likelihood of ids[1], ids[2], ...: see Perplexity.h.
  absl::StatusOr<std::vector<double>> score(const std::vector<int32_t> &ids);

  /// See Perplexity.h.
  absl::StatusOr<PerplexityReport> perplexity(absl::Span<const int32_t> text, int32_t bos,
                                              int32_t window,
                                              const ScoreProgress &progress = nullptr);

  /// For OpenSequences, whose sequences share the caches with the calls above.
  StepDriver &stepDriver() { return driver; }

private:
  StepDriver driver;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_SESSION_H
