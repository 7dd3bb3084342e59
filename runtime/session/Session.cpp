#include "runtime/session/Session.h"

#include <utility>

#include "runtime/base/Status.h"

namespace epigraph {
namespace {

absl::StatusOr<std::vector<float>> collectLogits(StepDriver &driver, const Passage &passage) {
  std::vector<float> rows;
  const auto append = [&](size_t, int32_t, absl::Span<const float> logits) {
    rows.insert(rows.end(), logits.begin(), logits.end());
    return absl::OkStatus();
  };
  EPIGRAPH_RETURN_IF_ERROR(visitLogits(driver, {passage}, append));
  return rows;
}

} // namespace

Session::Session(StepExecutor &executor, Interrupted interrupted)
    : driver(executor, std::move(interrupted)) {}

absl::StatusOr<GenerationReport> Session::generate(absl::Span<const GenerationRequest> requests,
                                                   const TokenCallback &onToken) {
  return generateTexts(driver, requests, onToken);
}

absl::StatusOr<std::vector<float>> Session::logits(absl::Span<const int32_t> ids) {
  return collectLogits(driver, {ids, {}});
}

absl::StatusOr<std::vector<float>> Session::mtpLogits(absl::Span<const int32_t> ids,
                                                      absl::Span<const int32_t> nextIds) {
  // Without next tokens a passage means the logits of the model itself.
  if (nextIds.empty())
    return absl::InvalidArgumentError("MTP logits need the token after each token; none are given");
  return collectLogits(driver, {ids, nextIds});
}

absl::Status Session::visit(const Passage &passage, const RowVisitor &visitor) {
  return visitLogits(driver, {passage}, visitor);
}

absl::StatusOr<std::vector<double>> Session::score(const std::vector<int32_t> &ids) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::vector<std::vector<double>> losses, scoreTokens(driver, {ids}));
  return std::move(losses.front());
}

absl::StatusOr<PerplexityReport> Session::perplexity(absl::Span<const int32_t> text, int32_t bos,
                                                     int32_t window,
                                                     const ScoreProgress &progress) {
  return epigraph::perplexity(driver, text, bos, window, progress);
}

} // namespace epigraph
