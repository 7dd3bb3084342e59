// Walks the program of one rank: launches kernels, exchanges rows.
#ifndef EPIGRAPH_RUNTIME_EXEC_RANKRUNNER_H
#define EPIGRAPH_RUNTIME_EXEC_RANKRUNNER_H

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/comm/Communicator.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/RankProgram.h"

namespace epigraph {

/// Where the time of one step went, on one rank.
struct StepTime {
  std::chrono::nanoseconds total{0};
  std::chrono::nanoseconds kernels{0};
  std::chrono::nanoseconds communication{0}; ///< waiting for other ranks included

  /// What the runtime itself took.
  std::chrono::nanoseconds host() const { return total - kernels - communication; }
};

class RankRunner {
public:
  /// All arguments must outlive it. `replicated`: attention, and with it the meaning of
  /// LocalTokens.
  RankRunner(Driver &driver, const KernelLibrary &kernels, Communicator &communicator,
             bool replicated, size_t exchanges);

  /// Runs `program` on the batch that `step` describes. Errors name the rank and the place in the
  /// model; the other ranks are told.
  absl::Status run(const RankProgram &program, const KernelStep &step);

  /// Of the last step.
  const StepTime &time() const { return lastTime; }

  /// Counts actions begun, from any thread: a rank that is stuck stops counting.
  uint64_t progress() const { return begun.load(std::memory_order_relaxed); }

private:
  absl::Status runAction(const RankProgram &program, const Action &action, const KernelStep &step);
  absl::Status launch(const RankProgram &program, const LaunchAction &action,
                      const KernelStep &step);
  absl::Status exchange(const CollectiveAction &action, const KernelStep &step,
                        const std::string &where);
  absl::Status exchange(const ExpertsAction &action, const KernelStep &step,
                        const std::string &where);
  int64_t rowsOf(const RowCount &count, const KernelStep &step) const;
  absl::StatusOr<size_t> bytesOf(const RowArray &array, const KernelStep &step) const;

  Driver &driver;
  const KernelLibrary &kernels;
  Communicator &communicator;
  const bool replicated;
  std::vector<int64_t> received; ///< rows of each exchange of this step
  StepTime lastTime;
  std::atomic<uint64_t> begun{0};
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RANKRUNNER_H
