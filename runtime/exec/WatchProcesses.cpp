#include "runtime/exec/WatchProcesses.h"

#include <algorithm>

#include "runtime/base/Status.h"

namespace epigraph {

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
      return status;
  }
}

} // namespace epigraph
