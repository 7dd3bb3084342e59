// Walks the program of one rank: launches kernels, exchanges rows.
#ifndef EPIGRAPH_RUNTIME_EXEC_RANKRUNNER_H
#define EPIGRAPH_RUNTIME_EXEC_RANKRUNNER_H

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "runtime/comm/Communicator.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/MeshSeat.h"
#include "runtime/exec/RankProgram.h"
#include "runtime/exec/StepExtent.h"

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
  /// Called before each action of a program, with its index.
  using BeforeAction = std::function<absl::Status(size_t action)>;

  /// All arguments must outlive it.
  RankRunner(Driver &driver, const MeshSeat &seat);

  /// Runs `program` on a step of `extent`; on a device, asks for all of it to be done. Errors name
  /// the rank and the place in the model; the other ranks are told.
  absl::Status run(const RankProgram &program, const StepExtent &extent,
                   const BeforeAction &before = nullptr);

  /// Of the last step.
  const StepTime &time() const { return lastTime; }

  /// Counts actions begun, from any thread: a rank that is stuck stops counting.
  uint64_t progress() const { return begun.load(std::memory_order_relaxed); }

private:
  absl::Status runAction(const Action &action, const StepExtent &extent);
  absl::Status launch(const LaunchAction &action, const StepExtent &extent);
  absl::Status exchange(const CollectiveAction &action, const StepExtent &extent,
                        const std::string &where);
  absl::Status exchange(const ExpertsAction &action, const StepExtent &extent,
                        const std::string &where);
  absl::Status perform(Communicator &communicator, const Collective &collective, bool starts,
                       const std::string &where);
  absl::Status finish(uint64_t until);
  int64_t mostReceived(int64_t most, int64_t batchTokens, const StepExtent &extent) const;
  int64_t rowsOf(const RowCount &count, const StepExtent &extent) const;
  absl::StatusOr<size_t> bytesOf(const RowArray &array, const StepExtent &extent) const;

  Driver &driver;
  const MeshSeat &seat;
  /// Rows of each exchange of this step; on a device, the most that can arrive.
  std::vector<int64_t> received;
  /// Whose turn it is to finish, of the collectives under way: the order in which they started.
  std::deque<Communicator *> underWay;
  uint64_t finished = 0; ///< collectives of this step that were under way and are not any more
  StepTime lastTime;
  std::atomic<uint64_t> begun{0};
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RANKRUNNER_H
