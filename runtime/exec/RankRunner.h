// Walks the program of one rank: launches kernels, exchanges rows.
#ifndef EPIGRAPH_RUNTIME_EXEC_RANKRUNNER_H
#define EPIGRAPH_RUNTIME_EXEC_RANKRUNNER_H

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
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

/// A rank, and how it meets others along each axis of the mesh.
struct MeshSeat {
  int rank;
  Communicator &expert;
  Communicator &tensor;

  Communicator &along(plan::Axis axis) const {
    return axis == plan::Axis::Tensor ? tensor : expert;
  }
};

class RankRunner {
public:
  /// All arguments must outlive it. `replicated`: attention, and with it the meaning of
  /// LocalTokens.
  RankRunner(Driver &driver, const MeshSeat &seat, bool replicated, size_t exchanges);

  /// Runs `program` on the batch that `step` describes. Errors name the rank and the place in the
  /// model; the other ranks are told.
  absl::Status run(const RankProgram &program, const KernelStep &step);

  /// Of the last step.
  const StepTime &time() const { return lastTime; }

  /// Counts actions begun, from any thread: a rank that is stuck stops counting.
  uint64_t progress() const { return begun.load(std::memory_order_relaxed); }

private:
  absl::Status runAction(const Action &action, const KernelStep &step);
  absl::Status launch(const LaunchAction &action, const KernelStep &step);
  absl::Status exchange(const CollectiveAction &action, const KernelStep &step,
                        const std::string &where);
  absl::Status exchange(const ExpertsAction &action, const KernelStep &step,
                        const std::string &where);
  absl::Status perform(Communicator &communicator, const Collective &collective, bool starts,
                       const std::string &where);
  absl::Status finish(uint64_t until);
  RowShare shareOfTokens(plan::Axis axis, const KernelStep &step) const;
  int64_t rowsOf(const RowCount &count, const KernelStep &step) const;
  absl::StatusOr<size_t> bytesOf(const RowArray &array, const KernelStep &step) const;

  Driver &driver;
  const MeshSeat seat;
  const bool replicated;
  std::vector<int64_t> received; ///< rows of each exchange of this step
  /// Whose turn it is to finish, of the collectives under way: the order in which they started.
  std::deque<Communicator *> underWay;
  uint64_t finished = 0; ///< collectives of this step that were under way and are not any more
  StepTime lastTime;
  std::atomic<uint64_t> begun{0};
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RANKRUNNER_H
