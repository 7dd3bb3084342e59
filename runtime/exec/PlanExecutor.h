// Runs a compiled artifact. On a CPU every rank of it is a thread of this process; on a device each
// rank is a process of its own, and this is one of them.
#ifndef EPIGRAPH_RUNTIME_EXEC_PLANEXECUTOR_H
#define EPIGRAPH_RUNTIME_EXEC_PLANEXECUTOR_H

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/device/OpenDriver.h"
#include "runtime/exec/MemoryNeed.h"
#include "runtime/exec/PeerMemory.h"
#include "runtime/exec/RankRunner.h"
#include "runtime/exec/StepExecutor.h"

namespace epigraph {

struct LoadedRanks;

/// A part of loading that may take long, and how far it has come.
struct LoadStage {
  std::string_view what; ///< "loading weights"
  uint64_t done = 0;
  uint64_t total = 0;
  bool countsBytes = false; ///< rather than things
};

/// Told while an executor loads. Weights that are only mapped take no time, and nothing is told of
/// them.
using LoadProgress = std::function<void(const LoadStage &stage)>;

struct PlanExecutorOptions {
  /// Threads of all ranks together, divided among them; 0: as many as there are processors.
  int threads = 0;
  /// Cap on memory, in bytes; 0: the memory of the machine, or what its device has free.
  uint64_t memoryPoolBytes = 0;
  /// Pages of each rank's caches; 0: as many as a full batch of full sequences takes, or as fit.
  int32_t pages = 0;
  /// Longest wait of one rank for another, and of a step for a rank that makes no progress. 0: a
  /// minute among threads, which may have to share processors; 6 seconds among processes.
  std::chrono::milliseconds deadline{0};
  /// Through whose memory ranks that are processes exchange rows.
  PeerMemory peerMemory = PeerMemory::Auto;
  LoadProgress progress;
  /// How drivers are opened.
  std::function<absl::StatusOr<std::unique_ptr<Driver>>(std::string_view target, MemoryPool &pool,
                                                        const DriverOptions &options)>
      openDriver = epigraph::openDriver;
};

/// Executors are used by one thread at a time. After a failed step the caches of the sequences in
/// it are undefined; other sequences go on. A step that is given up because a rank never comes back
/// is the last one: later ones fail.
class PlanExecutor : public StepExecutor {
public:
  /// Checks target, features, memory and weights, in this order, and loads. `artifact` is not
  /// needed afterwards. Errors: Unimplemented for a target or features that this machine lacks;
  /// FailedPrecondition when each rank is a process and they are not as many as the artifact has;
  /// ResourceExhausted, before anything is allocated, for what does not fit; DataLoss for weights
  /// that do not match the plan; FailedPrecondition for kernels that cannot be loaded.
  static absl::StatusOr<std::unique_ptr<PlanExecutor>> create(const Artifact &artifact,
                                                              const PlanExecutorOptions &options);
  ~PlanExecutor() override;

  const ModelInfo &info() const override;
  absl::StatusOr<std::vector<StepResult>>
  step(std::string_view function, absl::Span<const StepBatch> batches, bool wantHidden) override;

  absl::StatusOr<uint64_t> agreeOn(uint64_t number) override;

  /// What each step of the plan's `function` takes on the first rank of this process, in the plan's
  /// order: medians of `steps` runs of one step, whose actions do not overlap. Errors as of step.
  absl::StatusOr<std::vector<std::chrono::nanoseconds>>
  profile(std::string_view function, absl::Span<const StepBatch> batches, int steps);

  /// What was reserved, without caches, and for each page of them.
  const MemoryNeed &memoryNeed() const;

  /// Where the time of the last step went, by rank of this process.
  std::vector<StepTime> stepTimes() const;

  /// The first rank of this process: where each rank is a process, only that of rank 0 talks to
  /// the user.
  int firstRank() const;

private:
  explicit PlanExecutor(std::unique_ptr<LoadedRanks> loaded);

  absl::Status check(std::string_view function, absl::Span<const StepBatch> batches,
                     bool wantHidden);
  absl::Status runHere();
  absl::Status runThreads();

  std::unique_ptr<LoadedRanks> loaded;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_PLANEXECUTOR_H
