// One rank's copy of a step's batch, at addresses that never change, so that the arguments of every
// launch can be laid out once.
#ifndef EPIGRAPH_RUNTIME_EXEC_STEPARRAYS_H
#define EPIGRAPH_RUNTIME_EXEC_STEPARRAYS_H

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/artifact/Plan.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/StepExecutor.h"

namespace epigraph {

/// Sizes of the arrays under the limits of a model.
struct StepArrayLimits {
  uint64_t tokens = 0;
  uint64_t sequences = 0;
  uint64_t pagesOfSequence = 0;
  uint64_t hidden = 0;          ///< of the input "hidden"; 0 without the function "mtp"
  uint64_t convertedLogits = 0; ///< vocabulary, where logits are not float32 already; else 0
};

class StepArrays {
public:
  /// Bytes of all arrays of one rank.
  static uint64_t bytesFor(const StepArrayLimits &limits);

  static absl::StatusOr<StepArrays> create(Driver &driver, const StepArrayLimits &limits, int rank);

  /// Copies a batch that BatchCheck accepted; `hiddenType` is that of the input "hidden" (F32 or
  /// BF16).
  void load(const StepBatch &batch, plan::DType hiddenType);

  const KernelStep &step() const { return kernelStep; }

  // Inputs of functions.
  uint8_t *ids() const { return idsArray; }
  uint8_t *hidden() const { return hiddenArray; }

  /// Room for [sequences][vocab] logits converted to float32; null where they need not be.
  float *convertedLogits() const { return logitsArray; }

private:
  StepArrays() = default;
  /// Points the arrays into a block at `base` and returns its bytes.
  uint64_t carve(const StepArrayLimits &limits, uint8_t *base);

  std::unique_ptr<DeviceMemory> memory;
  KernelStep kernelStep{};
  uint8_t *idsArray = nullptr;
  uint8_t *hiddenArray = nullptr;
  int32_t *positions = nullptr;
  int32_t *sequence = nullptr;
  int32_t *pageTable = nullptr;
  int32_t *outputRows = nullptr;
  float *logitsArray = nullptr;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_STEPARRAYS_H
