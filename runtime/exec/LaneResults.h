// The results of lanes whose ranks are other processes.
#ifndef EPIGRAPH_RUNTIME_EXEC_LANERESULTS_H
#define EPIGRAPH_RUNTIME_EXEC_LANERESULTS_H

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/comm/ProcessGroup.h"
#include "runtime/exec/StepExecutor.h"

namespace epigraph {

/// Gives every process what all lanes have computed, so that all go on alike: each runs the same
/// session, with the same requests.
class LaneResults {
public:
  /// `group` and `info` must outlive it.
  LaneResults(ProcessGroup &group, const ModelInfo &info) : group(group), info(info) {}

  /// Collective: the results of a step of `batches`, by lane, of which this process has `own`. They
  /// are valid until the next call. Errors: those of ProcessGroup::allGather.
  absl::StatusOr<std::vector<StepResult>> gather(absl::Span<const StepBatch> batches,
                                                 const StepResult &own, bool wantHidden);

private:
  /// Numbers for each output row of a batch, and of the whole batch.
  size_t numbersOfOutput(bool hasChosen) const {
    return hasChosen ? 1 : static_cast<size_t>(info.vocab);
  }
  size_t numbersOf(const StepBatch &batch, bool hasChosen, bool wantHidden) const;
  absl::Status exchange(std::vector<float> &own, size_t mostNumbers);
  /// The first of the ranks that run `lane`.
  int speakerOf(size_t lane) const { return static_cast<int>(lane) * info.ranks / info.lanes; }

  ProcessGroup &group;
  const ModelInfo &info;
  /// By lane: logits, or the bits of the chosen tokens; then hidden states.
  std::vector<std::vector<float>> lanes;
  std::vector<std::vector<int32_t>> chosen; ///< by lane
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_LANERESULTS_H
