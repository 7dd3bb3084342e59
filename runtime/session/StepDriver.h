// What every way of driving a model shares: one page pool and one batch for each batch that a step
// takes ("lane"), and the step itself, checked and interruptible.
//
// Replicated attention has one lane, which every rank runs; data-parallel attention has one for
// each rank.
#ifndef EPIGRAPH_RUNTIME_SESSION_STEPDRIVER_H
#define EPIGRAPH_RUNTIME_SESSION_STEPDRIVER_H

#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/exec/StepExecutor.h"
#include "runtime/session/BatchBuilder.h"
#include "runtime/session/PagePool.h"

namespace epigraph {

/// Asked before each step; true stops the work with a Cancelled status.
using Interrupted = std::function<bool()>;

struct Lane {
  explicit Lane(int32_t pages) : pool(pages) {}

  PagePool pool;
  BatchBuilder builder;
};

class StepDriver {
public:
  /// The executor must outlive it.
  StepDriver(StepExecutor &executor, Interrupted interrupted);

  const ModelInfo &info() const { return executor.info(); }
  std::deque<Lane> &lanes() { return allLanes; }

  /// Runs one step of what the lanes' builders hold. One result for each lane. In place of "main"
  /// runs "decode", where the model has it, if some sequence of some lane has exactly one token:
  /// all lanes run one function, since their ranks meet in its exchanges.
  /// Errors: the executor's; Cancelled; Internal when the executor's results do not fit the
  /// batches.
  /// `onlyChosen`: of the logits, the tokens that are chosen alone matter; see StepResult::chosen.
  absl::StatusOr<std::vector<StepResult>> step(std::string_view function, bool wantHidden,
                                               bool onlyChosen = false);

  /// See StepExecutor.
  absl::StatusOr<uint64_t> agreeOn(uint64_t number) { return executor.agreeOn(number); }

  /// Errors: InvalidArgument for no tokens or an id outside the vocabulary, OutOfRange for more
  /// tokens than the context, ResourceExhausted for `positions` that the caches have no pages for.
  /// `what` names the sequence in messages.
  absl::Status checkSequence(absl::Span<const int32_t> ids, int64_t positions,
                             std::string_view what) const;

private:
  absl::Status checkResults(const std::vector<StepResult> &results, bool wantHidden) const;

  StepExecutor &executor;
  Interrupted interrupted;
  std::deque<Lane> allLanes; ///< a deque: leases point to the pools
  std::vector<StepBatch> batches;
  int64_t steps = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_STEPDRIVER_H
