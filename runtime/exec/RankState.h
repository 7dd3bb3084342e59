// All that one rank of this process owns: its memory, its programs.
#ifndef EPIGRAPH_RUNTIME_EXEC_RANKSTATE_H
#define EPIGRAPH_RUNTIME_EXEC_RANKSTATE_H

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/comm/ProcessGroup.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/DeviceStepMemory.h"
#include "runtime/exec/PeerRegions.h"
#include "runtime/exec/RankProgram.h"
#include "runtime/exec/RankRunner.h"
#include "runtime/exec/RecordedSteps.h"
#include "runtime/exec/StepExecutor.h"
#include "runtime/exec/StepMemory.h"
#include "runtime/exec/StepProfiler.h"
#include "runtime/exec/Weights.h"

namespace epigraph {

/// What a rank is made of; all of it must outlive the rank.
struct RankParts {
  Driver &driver; ///< of this rank alone, while it runs
  const Weights &sharedWeights;
  /// Longest wait for a step of a device.
  std::chrono::milliseconds deadline;
  /// Called while the rank's weights are loaded, with bytes that have come.
  std::function<void(uint64_t)> loaded;
  /// Called while steps are recorded: how many of how many.
  std::function<void(size_t, size_t)> recorded;
  ProcessGroup *processes; ///< of ranks that are processes; else null
  PeerMemory peerMemory = PeerMemory::Auto;
};

class RankState {
public:
  /// Loads kernels and weights, allocates, resolves the programs, records decode steps where the
  /// driver can.
  static absl::StatusOr<std::unique_ptr<RankState>>
  create(const Artifact &artifact, const ModelInfo &info, const RankParts &parts, MeshSeat seat);

  /// Takes over the batch of the next step; `runStep` runs it, on any thread.
  /// `laneTokens`: of the lane that has most in the step.
  void load(std::string_view function, const StepBatch &batch, int64_t laneTokens, bool wantHidden);
  void runStep();
  /// The next steps, until endProfile(), are runs of one and the same, and their actions are timed.
  void beginProfile() { isProfiled = true; }
  /// What each action took, in the program's order.
  std::vector<std::chrono::nanoseconds> endProfile();

  /// Of the last step.
  const absl::Status &status() const { return lastStatus; }
  StepResult result() const { return memory->result(*current, wantsHidden); }
  const StepTime &time() const { return lastTime; }

  int rank() const { return seat.rank; }
  const RankRunner &runner() const { return rankRunner; }
  bool takesHidden(std::string_view function) const { return program(function).takesHidden; }
  bool givesHidden(std::string_view function) const {
    return program(function).hidden.address != nullptr;
  }

private:
  RankState(const RankParts &parts, MeshSeat seat);

  absl::Status allocate(const Artifact &artifact, const ModelInfo &info);
  absl::Status resolve(const Plan &plan, const ModelInfo &info, const Weights &sharedWeights);
  absl::Status prepare(RankProgram &program);
  absl::Status record(const ModelInfo &info, const DeviceStepMemory &steps,
                      const std::function<void(size_t, size_t)> &recorded);
  absl::Status reachPeers(const plan::Plan &plan, DeviceStepMemory &steps);
  absl::Status runLoaded();
  absl::Status waitForDevice();
  absl::Status runProgram();
  const RankProgram &program(std::string_view function) const {
    return programs.find(function)->second;
  }

  Driver &driver;
  const std::chrono::milliseconds deadline;
  ProcessGroup *const processes;
  const PeerMemory peerMemory;
  const MeshSeat seat;
  RankRunner rankRunner;
  std::unique_ptr<KernelLibrary> kernels;
  Weights weights;
  std::unique_ptr<DeviceMemory> arena;
  std::unique_ptr<DeviceMemory> workspace;
  std::vector<std::unique_ptr<DeviceMemory>> caches;
  std::unique_ptr<PeerRegions> peers; ///< where kernels exchange rows with other ranks
  std::unique_ptr<StepMemory> memory;
  std::map<std::string, RankProgram, std::less<>> programs;
  const RankProgram *decoding = nullptr; ///< the program that was recorded
  RecordedSteps recordings;
  bool takesShares = false; ///< ranks divide the tokens of a step among them

  bool isProfiled = false;
  std::optional<StepProfiler> profiler; ///< from the first step that is profiled
  const RankProgram *current = nullptr;
  int64_t laneTokens = 0;
  bool wantsHidden = false;
  absl::Status lastStatus;
  StepTime lastTime;
};

/// Sizes of a rank's steps for `plan`.
StepLimits stepLimits(const Plan &plan, const ModelInfo &info);
DeviceStepMemory::Options deviceStepOptions(const Plan &plan, const ModelInfo &info);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RANKSTATE_H
