// Decode steps recorded once and replayed, so that the host has next to nothing to do in a step.
//
// A recording has the launches of a step with a certain number of tokens, one of each sequence, and
// serves every such step with fewer: kernels read the exact numbers in the step, and blocks without
// work end at once. Steps with more tokens than the largest recording run launch by launch.
#ifndef EPIGRAPH_RUNTIME_EXEC_RECORDEDSTEPS_H
#define EPIGRAPH_RUNTIME_EXEC_RECORDEDSTEPS_H

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/StepExtent.h"

namespace epigraph {

/// The tokens of recordings for steps of up to `most`, ascending, `most` the last: every number up
/// to 2, then steps that waste an eighth at most, or that are as long as a tile of eight rows.
std::vector<int64_t> recordedSizes(int64_t most);

class RecordedSteps {
public:
  /// Records `run`, which asks `driver` for the work of a step of `extents[i]`, for each of them;
  /// they ascend. `recorded`, if any, is called after each.
  absl::Status record(Driver &driver, const std::vector<StepExtent> &extents,
                      const std::function<absl::Status(const StepExtent &)> &run,
                      const std::function<void(size_t)> &recorded);

  /// The smallest recording that serves a step of `extent`; null if there is none. `exact`: one of
  /// as many tokens, no more.
  const RecordedWork *find(const StepExtent &extent, bool exact = false) const;

private:
  struct Recording {
    StepExtent extent;
    std::unique_ptr<RecordedWork> work;
  };

  std::vector<Recording> recordings;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RECORDEDSTEPS_H
