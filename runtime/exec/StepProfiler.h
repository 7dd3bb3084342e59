// Takes the time of each action of a step.
#ifndef EPIGRAPH_RUNTIME_EXEC_STEPPROFILER_H
#define EPIGRAPH_RUNTIME_EXEC_STEPPROFILER_H

#include <chrono>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/RankRunner.h"

namespace epigraph {

/// Runs one step again and again, with a mark between any two actions. Where work can be recorded
/// the marks are part of a recording, so that a device never waits for the host between them; but
/// no kernel starts before the one before it has ended, as it may in other steps.
class StepProfiler {
public:
  /// All must outlive it. `extent` is that of every step which is run.
  StepProfiler(Driver &driver, RankRunner &runner, const RankProgram &program,
               const StepExtent &extent)
      : driver(driver), runner(runner), program(program), extent(extent) {}

  /// Asks for one step.
  absl::Status run();
  /// Takes down the times of the last step; waits for it.
  absl::Status collect();

  /// The median of each action's times, without what a mark takes by itself.
  std::vector<std::chrono::nanoseconds> medians() const;

private:
  absl::Status createMarks();
  absl::Status runMarked();

  Driver &driver;
  RankRunner &runner;
  const RankProgram &program;
  const StepExtent extent;
  /// Before each action; two stand behind the last, and tell what a mark takes.
  std::vector<std::unique_ptr<TimeMark>> marks;
  std::unique_ptr<RecordedWork> recorded;
  std::vector<std::vector<std::chrono::nanoseconds>> times; ///< by interval between marks
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_STEPPROFILER_H
