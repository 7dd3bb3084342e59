#include "runtime/exec/WatchProcesses.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {

namespace {

/// Of the ranks that wait for work that does not end, finds one that does not wait, too.
absl::Status findMissing(ProcessGroup &group, std::chrono::milliseconds waited) {
  constexpr std::chrono::milliseconds kRollCall{1000};
  group.setDeadline(kRollCall);
  EPIGRAPH_RETURN_IF_ERROR(group.barrier("finding who is late"));
  return absl::DeadlineExceededError(absl::StrCat("the GPU's work is not done after ",
                                                  static_cast<double>(waited.count()) / 1000,
                                                  " s, and all ranks wait for theirs"));
}

} // namespace

absl::Status synchronizeWatching(Driver &driver, ProcessGroup &group,
                                 std::chrono::milliseconds deadline) {
  using std::chrono::milliseconds;
  // Between two looks at the other ranks.
  constexpr milliseconds kWatchTime{20};
  for (milliseconds left = deadline;; left -= kWatchTime) {
    const absl::Status status = driver.synchronize(std::min(left, kWatchTime));
    if (!absl::IsDeadlineExceeded(status))
      return status;
    EPIGRAPH_RETURN_IF_ERROR(group.check());
    if (left <= kWatchTime)
      return findMissing(group, deadline);
  }
}

} // namespace epigraph
