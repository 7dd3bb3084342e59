// One rank's copy of a step's batch in memory that host and kernels share.
#ifndef EPIGRAPH_RUNTIME_EXEC_HOSTSTEPMEMORY_H
#define EPIGRAPH_RUNTIME_EXEC_HOSTSTEPMEMORY_H

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/StepMemory.h"

namespace epigraph {

class HostStepMemory : public StepMemory {
public:
  /// Bytes of all arrays of one rank.
  static uint64_t bytesFor(const StepLimits &limits);

  static absl::StatusOr<std::unique_ptr<HostStepMemory>> create(Driver &driver,
                                                                const StepLimits &limits, int rank);

  uint8_t *ids() const override { return idsArray; }
  uint8_t *hidden() const override { return hiddenArray; }
  const void *step() const override { return &kernelStep; }
  const int32_t *counter(const RowCount &) const override { return nullptr; }

  void load(const StepBatch &batch, const RankProgram &program) override;
  const StepExtent &extent() const override { return stepExtent; }
  absl::Status send() override { return absl::OkStatus(); }
  absl::Status fetch(const RankProgram &, bool) override { return absl::OkStatus(); }
  void finish(const RankProgram &program) override;
  StepResult result(const RankProgram &program, bool wantHidden) const override;

private:
  HostStepMemory() = default;
  /// Points the arrays into a block at `base` and returns its bytes.
  uint64_t carve(const StepLimits &limits, uint8_t *base);

  std::unique_ptr<DeviceMemory> memory;
  KernelStep kernelStep{};
  StepExtent stepExtent;
  uint8_t *idsArray = nullptr;
  uint8_t *hiddenArray = nullptr;
  int32_t *positions = nullptr;
  int32_t *sequence = nullptr;
  int32_t *pageTable = nullptr;
  int32_t *outputRows = nullptr;
  /// Room for [sequences][vocab] logits converted to float32; null where they need not be.
  float *convertedLogits = nullptr;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_HOSTSTEPMEMORY_H
