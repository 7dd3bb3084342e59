// What is read off one row of logits.
#ifndef EPIGRAPH_RUNTIME_SESSION_LIKELIHOOD_H
#define EPIGRAPH_RUNTIME_SESSION_LIKELIHOOD_H

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace epigraph {

/// DataLoss: the logit of `token`, in words, is not a number.
absl::Status logitIsNotANumber(std::string_view token);

/// The most likely token; the lowest id wins ties.
/// Errors: DataLoss when a logit is not a number, Internal for an empty row.
absl::StatusOr<int32_t> greedyToken(absl::Span<const float> logits);

/// -log softmax(logits)[id] in nats, in double precision.
/// Errors: as for greedyToken; InvalidArgument for an id outside the row.
absl::StatusOr<double> negativeLogLikelihood(absl::Span<const float> logits, int32_t id);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_LIKELIHOOD_H
