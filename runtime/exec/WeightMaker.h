// Makes the random weights of a plan, in the memory of a driver: by the host where that is the
// host's, else by the function of the kernel library that is there for it.
#ifndef EPIGRAPH_RUNTIME_EXEC_WEIGHTMAKER_H
#define EPIGRAPH_RUNTIME_EXEC_WEIGHTMAKER_H

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/RandomRuns.h"

namespace epigraph {

class WeightMaker {
public:
  /// Both must outlive it.
  WeightMaker(const Artifact &artifact, Driver &driver);

  /// Memory that holds `weight` as `rank` has it once finish() has returned.
  absl::StatusOr<std::unique_ptr<DeviceMemory>> make(const plan::Weight &weight, uint32_t rank);

  /// Makes what is not made yet.
  absl::Status finish();

private:
  const Artifact &artifact;
  const plan::Plan &plan;
  Driver &driver;
  ThreadPool threads; ///< none beside the caller's, if the driver's memory is not the host's
  std::vector<RandomRun> runs;    ///< to be made
  std::vector<uint8_t *> results; ///< of each
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_WEIGHTMAKER_H
