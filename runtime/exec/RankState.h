// All that one rank of this process owns: its driver, its memory, its programs.
#ifndef EPIGRAPH_RUNTIME_EXEC_RANKSTATE_H
#define EPIGRAPH_RUNTIME_EXEC_RANKSTATE_H

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/comm/LocalCommunicator.h"
#include "runtime/comm/LocalMesh.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/RankProgram.h"
#include "runtime/exec/RankRunner.h"
#include "runtime/exec/StepArrays.h"
#include "runtime/exec/StepExecutor.h"
#include "runtime/exec/Weights.h"

namespace epigraph {

class RankState {
public:
  /// Loads kernels and weights, allocates, resolves the programs. `sharedWeights` and `mesh` must
  /// outlive the result.
  static absl::StatusOr<std::unique_ptr<RankState>>
  create(const Artifact &artifact, const ModelInfo &info, std::unique_ptr<Driver> driver,
         const Weights &sharedWeights, LocalMesh &mesh, int rank);

  /// Takes over the batch of the next step; `runStep` runs it, on any thread.
  void load(std::string_view function, const StepBatch &batch);
  void runStep();

  /// Of the last step.
  const absl::Status &status() const { return lastStatus; }
  StepResult result(bool wantHidden) const;
  const RankRunner &runner() const { return *rankRunner; }

  bool takesHidden(std::string_view function) const { return program(function).takesHidden; }
  bool givesHidden(std::string_view function) const {
    return program(function).hidden.address != nullptr;
  }

private:
  RankState(std::unique_ptr<Driver> driver, LocalMesh &mesh, int rank);

  absl::Status allocate(const plan::Plan &plan, const ModelInfo &info);
  absl::Status resolve(const Plan &plan, const ModelInfo &info, const Weights &sharedWeights);
  absl::Status prepare(RankProgram &program);
  const RankProgram &program(std::string_view function) const {
    return programs.find(function)->second;
  }

  std::unique_ptr<Driver> driver;
  LocalCommunicator alongExpert;
  LocalCommunicator alongTensor;
  const MeshSeat seat;
  std::unique_ptr<KernelLibrary> kernels;
  Weights weights;
  std::unique_ptr<DeviceMemory> arena;
  std::vector<std::unique_ptr<DeviceMemory>> caches;
  std::optional<StepArrays> arrays;
  std::map<std::string, RankProgram, std::less<>> programs;
  std::optional<RankRunner> rankRunner;

  const RankProgram *current = nullptr;
  absl::Status lastStatus;
};

/// Sizes of a rank's step arrays for `plan`.
StepArrayLimits stepArrayLimits(const Plan &plan, const ModelInfo &info);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RANKSTATE_H
