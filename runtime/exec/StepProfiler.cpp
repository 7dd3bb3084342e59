#include "runtime/exec/StepProfiler.h"

#include <algorithm>

#include "runtime/base/Status.h"

namespace epigraph {
namespace {

std::chrono::nanoseconds median(std::vector<std::chrono::nanoseconds> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

} // namespace

absl::Status StepProfiler::createMarks() {
  const size_t actions = program.actions.size();
  times.resize(actions + 1);
  for (size_t i = 0; i < actions + 2; ++i) {
    EPIGRAPH_ASSIGN_OR_RETURN(marks.emplace_back(), driver.createMark());
  }
  return absl::OkStatus();
}

absl::Status StepProfiler::runMarked() {
  EPIGRAPH_RETURN_IF_ERROR(
      runner.run(program, extent, [this](size_t action) { return driver.place(*marks[action]); }));
  EPIGRAPH_RETURN_IF_ERROR(driver.place(*marks[marks.size() - 2]));
  return driver.place(*marks.back());
}

absl::Status StepProfiler::run() {
  if (marks.empty())
    EPIGRAPH_RETURN_IF_ERROR(createMarks());
  if (!driver.records())
    return runMarked();
  if (!recorded) {
    EPIGRAPH_RETURN_IF_ERROR(driver.beginRecording());
    const absl::Status status = runMarked();
    // A recording is ended in any case: the driver is of no use in the middle of one.
    absl::StatusOr<std::unique_ptr<RecordedWork>> work = driver.endRecording();
    EPIGRAPH_RETURN_IF_ERROR(status);
    EPIGRAPH_RETURN_IF_ERROR(work.status());
    recorded = *std::move(work);
  }
  return driver.replay(*recorded);
}

absl::Status StepProfiler::collect() {
  for (size_t i = 0; i + 1 < marks.size(); ++i) {
    EPIGRAPH_ASSIGN_OR_RETURN(times[i].emplace_back(), driver.between(*marks[i], *marks[i + 1]));
  }
  return absl::OkStatus();
}

std::vector<std::chrono::nanoseconds> StepProfiler::medians() const {
  std::vector<std::chrono::nanoseconds> result;
  const std::chrono::nanoseconds mark = median(times.back());
  for (size_t i = 0; i + 1 < times.size(); ++i)
    result.push_back(std::max(median(times[i]) - mark, std::chrono::nanoseconds(0)));
  return result;
}

} // namespace epigraph
