#include "runtime/session/Perplexity.h"

#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/session/Likelihood.h"
#include "runtime/session/PassageRunner.h"

namespace epigraph {

absl::StatusOr<std::vector<std::vector<double>>>
scoreTokens(StepDriver &driver, absl::Span<const std::vector<int32_t>> sequences,
            const ScoreProgress &progress) {
  std::vector<Passage> passages;
  std::vector<std::vector<double>> losses;
  int64_t total = 0;
  for (const std::vector<int32_t> &ids : sequences) {
    if (ids.size() < 2)
      return withCode(ErrorCode::TextTooShort,
                      absl::InvalidArgumentError("nothing to score: expected at least two tokens"));
    // The last token is scored, but nothing comes after it: it need not be run.
    passages.push_back({absl::MakeConstSpan(ids).first(ids.size() - 1), {}});
    losses.emplace_back(ids.size() - 1);
    total += static_cast<int64_t>(ids.size()) - 1;
  }
  int64_t scored = 0;
  const auto visit = [&](size_t index, int32_t position, absl::Span<const float> logits) {
    const size_t at = static_cast<size_t>(position);
    absl::StatusOr<double> loss = negativeLogLikelihood(logits, sequences[index][at + 1]);
    if (!loss.ok())
      return withContext(loss.status(),
                         absl::StrCat("sequence ", index + 1, ", position ", position));
    losses[index][at] = *loss;
    if (++scored; progress)
      progress(scored, total);
    return absl::OkStatus();
  };
  EPIGRAPH_RETURN_IF_ERROR(visitLogits(driver, passages, visit));
  return losses;
}

absl::StatusOr<PerplexityReport> perplexity(StepDriver &driver, absl::Span<const int32_t> text,
                                            int32_t bos, int32_t window,
                                            const ScoreProgress &progress) {
  if (window < 1 || text.size() < static_cast<size_t>(window))
    return withCode(ErrorCode::TextTooShort,
                    absl::InvalidArgumentError(absl::StrCat(
                        "the text has ", text.size(), " tokens, less than one window of ", window,
                        "; use a longer text or a smaller --window")));
  const size_t width = static_cast<size_t>(window);
  std::vector<std::vector<int32_t>> windows;
  for (size_t first = 0; first + width <= text.size(); first += width) {
    const absl::Span<const int32_t> ids = text.subspan(first, width);
    windows.push_back({bos});
    windows.back().insert(windows.back().end(), ids.begin(), ids.end());
  }
  EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<std::vector<double>> losses,
                            scoreTokens(driver, windows, progress));

  PerplexityReport report;
  double sum = 0;
  for (const std::vector<double> &loss : losses) {
    const double windowSum = std::accumulate(loss.begin(), loss.end(), 0.0);
    report.windowNll.push_back(windowSum / static_cast<double>(window));
    sum += windowSum;
  }
  report.tokens = static_cast<int64_t>(windows.size() * width);
  report.nll = sum / static_cast<double>(report.tokens);
  report.perplexity = std::exp(report.nll);
  return report;
}

} // namespace epigraph
