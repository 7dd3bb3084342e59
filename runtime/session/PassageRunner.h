// Runs whole sequences and visits the logits of every position.
#ifndef EPIGRAPH_RUNTIME_SESSION_PASSAGERUNNER_H
#define EPIGRAPH_RUNTIME_SESSION_PASSAGERUNNER_H

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "runtime/session/StepDriver.h"

namespace epigraph {

/// A sequence from position 0 on. The spans must stay valid while it runs.
struct Passage {
  absl::Span<const int32_t> ids;
  /// Empty: visit the logits of "main". Else, of the same length: the token after each, and the
  /// logits of "mtp", which predicts the token after that, are visited.
  absl::Span<const int32_t> nextIds;
};

/// Receives index of the passage, position, logits [vocab]. Positions of one passage come in order;
/// passages may take turns. An error stops the run.
using RowVisitor = std::function<absl::Status(size_t, int32_t, absl::Span<const float>)>;

/// Runs all passages, several in one step where they fit.
/// Errors: those of StepDriver::checkSequence for any passage, before anything runs; Unimplemented
/// for `nextIds` with a model that has no MTP layer; those of the steps and of `visit`.
absl::Status visitLogits(StepDriver &driver, absl::Span<const Passage> passages,
                         const RowVisitor &visit);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_PASSAGERUNNER_H
