// What the kernels of one rank see of a step, and what comes back of it: apart for memory that host
// and kernels share, and for a device's.
//
// A step goes: load (on any thread), send, the step's work, fetch, then, when all that work has
// finished, finish; its result stays until the next load.
#ifndef EPIGRAPH_RUNTIME_EXEC_STEPMEMORY_H
#define EPIGRAPH_RUNTIME_EXEC_STEPMEMORY_H

#include <cstdint>

#include "absl/status/status.h"
#include "runtime/exec/RankProgram.h"
#include "runtime/exec/StepExecutor.h"
#include "runtime/exec/StepExtent.h"

namespace epigraph {

/// Sizes of a step under the limits of a model.
struct StepLimits {
  uint64_t tokens = 0;
  uint64_t sequences = 0;
  uint64_t pagesOfSequence = 0;
  uint64_t hidden = 0;          ///< numbers of the input "hidden"; 0 without the function "mtp"
  uint64_t convertedLogits = 0; ///< vocabulary, where logits are not float32 already; else 0
};

class StepMemory {
public:
  virtual ~StepMemory() = default;

  // Addresses of inputs, and of the step: a KernelStep on the CPU, a DeviceStep on a device. They
  // never change, so that the arguments of every launch can be laid out once.
  virtual uint8_t *ids() const = 0;
  virtual uint8_t *hidden() const = 0;
  virtual const void *step() const = 0;

  /// Where device kernels read the quantity that `rows` counts, if the host knows it; null on the
  /// CPU.
  virtual const int32_t *counter(const RowCount &rows) const = 0;

  /// Copies a batch for `program` that BatchCheck accepted.
  virtual void load(const StepBatch &batch, const RankProgram &program) = 0;

  /// How large the step is that was loaded.
  virtual const StepExtent &extent() const = 0;

  /// Brings the batch to where kernels read it.
  virtual absl::Status send() = 0;

  /// Brings back what `program` computed, in the order of the driver's work.
  virtual absl::Status fetch(const RankProgram &program, bool wantHidden) = 0;

  /// Makes the result of what was fetched.
  virtual void finish(const RankProgram &program) = 0;

  /// What finish() made; its spans are valid until the next load.
  virtual StepResult result(const RankProgram &program, bool wantHidden) const = 0;
};

/// Numbers in a row of `array`.
inline size_t elementsOfRow(const RowArray &array) {
  return array.rowBytes / elementBytes(array.dtype);
}

/// Writes `count` numbers (F32 or BF16) at `numbers` as float32.
void convertToFloat32(const uint8_t *numbers, plan::DType dtype, size_t count, float *result);

/// Writes float32 numbers as F32 or BF16.
void convertFromFloat32(absl::Span<const float> numbers, plan::DType dtype, uint8_t *result);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_STEPMEMORY_H
