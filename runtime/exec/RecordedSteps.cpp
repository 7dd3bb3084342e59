#include "runtime/exec/RecordedSteps.h"

#include <algorithm>

#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// From a recording for `tokens` to the next.
int64_t distanceAfter(int64_t tokens) {
  if (tokens < 8)
    return tokens;
  int64_t distance = 8;
  while (distance * 16 <= tokens)
    distance *= 2;
  return distance;
}

} // namespace

std::vector<int64_t> recordedSizes(int64_t most) {
  std::vector<int64_t> sizes;
  for (int64_t tokens = 1; tokens < most; tokens += distanceAfter(tokens))
    sizes.push_back(tokens);
  if (most > 0)
    sizes.push_back(most);
  return sizes;
}

absl::Status RecordedSteps::record(Driver &driver, const std::vector<StepExtent> &extents,
                                   const std::function<absl::Status(const StepExtent &)> &run,
                                   const std::function<void(size_t)> &recorded) {
  for (const StepExtent &extent : extents) {
    EPIGRAPH_RETURN_IF_ERROR(driver.beginRecording());
    const absl::Status status = run(extent);
    // A recording is ended in any case: the driver is of no use in the middle of one.
    absl::StatusOr<std::unique_ptr<RecordedWork>> work = driver.endRecording();
    EPIGRAPH_RETURN_IF_ERROR(status);
    EPIGRAPH_RETURN_IF_ERROR(work.status());
    recordings.push_back({extent, *std::move(work)});
    if (recorded)
      recorded(recordings.size());
  }
  return absl::OkStatus();
}

const RecordedWork *RecordedSteps::find(const StepExtent &extent, bool exact) const {
  if (!extent.bounds.oneTokenEach || extent.tokens == 0)
    return nullptr;
  for (const Recording &recording : recordings)
    if (extent.tokens <= recording.extent.tokens && extent.outputs <= recording.extent.outputs &&
        extent.laneTokens <= recording.extent.laneTokens)
      return exact && extent.tokens != recording.extent.tokens ? nullptr : recording.work.get();
  return nullptr;
}

} // namespace epigraph
