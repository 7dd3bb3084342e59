#include "runtime/session/Likelihood.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/ErrorCode.h"
#include "runtime/base/StringView.h"

namespace epigraph {

absl::Status logitIsNotANumber(std::string_view token) {
  return absl::DataLossError(absl::StrCat(
      "the logit of ", abslView(token),
      " is not a number; the checkpoint's weights are damaged, or overflow in this precision"));
}

absl::StatusOr<int32_t> greedyToken(absl::Span<const float> logits) {
  if (logits.empty())
    return absl::InternalError("a row of logits is empty; report this");
  size_t best = 0;
  for (size_t id = 0; id < logits.size(); ++id) {
    if (std::isnan(logits[id]))
      return logitIsNotANumber(absl::StrCat("token ", id));
    if (logits[id] > logits[best])
      best = id;
  }
  return static_cast<int32_t>(best);
}

absl::StatusOr<double> negativeLogLikelihood(absl::Span<const float> logits, int32_t id) {
  if (id < 0 || static_cast<size_t>(id) >= logits.size())
    return withCode(ErrorCode::OutsideVocabulary,
                    absl::InvalidArgumentError(absl::StrCat(
                        "token ", id, " is outside the vocabulary of ", logits.size())));
  const absl::StatusOr<int32_t> best = greedyToken(logits);
  if (!best.ok())
    return best.status();
  // Shifted by the largest logit, the sum neither overflows nor vanishes.
  const double largest = logits[static_cast<size_t>(*best)];
  double sum = 0;
  for (const float logit : logits)
    sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum) - static_cast<double>(logits[static_cast<size_t>(id)]);
}

} // namespace epigraph
