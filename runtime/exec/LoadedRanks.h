// All that a process has of a loaded artifact: its ranks, what they share, and what they run on.
#ifndef EPIGRAPH_RUNTIME_EXEC_LOADEDRANKS_H
#define EPIGRAPH_RUNTIME_EXEC_LOADEDRANKS_H

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/comm/LocalMesh.h"
#include "runtime/comm/ProcessGroup.h"
#include "runtime/device/Driver.h"
#include "runtime/device/MemoryPool.h"
#include "runtime/exec/BatchCheck.h"
#include "runtime/exec/LaneResults.h"
#include "runtime/exec/MemoryNeed.h"
#include "runtime/exec/PlanExecutor.h"
#include "runtime/exec/RankState.h"
#include "runtime/exec/RankThreads.h"
#include "runtime/exec/Weights.h"

namespace epigraph {

/// Members go in the order opposite to that in which they stand here.
struct LoadedRanks {
  ModelInfo info;
  MemoryNeed need;
  std::chrono::milliseconds deadline{0};
  std::unique_ptr<MemoryPool> pool;
  std::unique_ptr<LocalMesh> mesh; ///< of ranks that are threads
  /// Of ranks that are processes; null where there is one rank.
  std::unique_ptr<ProcessGroup> processes;
  std::unique_ptr<LaneResults> lanes; ///< where the ranks of other lanes are other processes
  std::optional<BatchCheck> check;
  /// The first holds the shared weights. On a device it is that of the rank, too.
  std::vector<std::unique_ptr<Driver>> drivers;
  Weights sharedWeights;
  std::vector<std::unique_ptr<RankState>> ranks; ///< of this process
  bool lost = false;                             ///< some rank has not come back from a step
  /// Threads of the ranks of a CPU; null on a device, whose rank runs on the caller's.
  std::unique_ptr<RankThreads> threads;

  /// The lane whose batch `rank` runs.
  size_t laneOf(const RankState &rank) const {
    return static_cast<size_t>(rank.rank()) * static_cast<size_t>(info.lanes) /
           static_cast<size_t>(info.ranks);
  }
};

/// See PlanExecutor::create.
absl::StatusOr<std::unique_ptr<LoadedRanks>> loadRanks(const Artifact &artifact,
                                                       const PlanExecutorOptions &options);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_LOADEDRANKS_H
