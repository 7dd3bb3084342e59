#include "runtime/exec/StepArrays.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/base/BFloat16.h"
#include "runtime/base/Status.h"
#include "runtime/exec/BatchStep.h"

namespace epigraph {

uint64_t StepArrays::carve(const StepArrayLimits &limits, uint8_t *base) {
  uint64_t used = 0;
  const auto take = [&]<typename T>(T *&array, uint64_t count) {
    array = base && count ? reinterpret_cast<T *>(base + used) : nullptr;
    used += (count * sizeof(T) + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
  };
  take(idsArray, limits.tokens * sizeof(int32_t));
  take(positions, limits.tokens);
  take(sequence, limits.tokens);
  take(pageTable, limits.sequences * limits.pagesOfSequence);
  take(outputRows, limits.sequences);
  take(hiddenArray, limits.tokens * limits.hidden * sizeof(float));
  take(logitsArray, limits.sequences * limits.convertedLogits);
  return used;
}

uint64_t StepArrays::bytesFor(const StepArrayLimits &limits) {
  return StepArrays().carve(limits, nullptr);
}

absl::StatusOr<StepArrays> StepArrays::create(Driver &driver, const StepArrayLimits &limits,
                                              int rank) {
  StepArrays arrays;
  EPIGRAPH_ASSIGN_OR_RETURN(
      arrays.memory,
      driver.allocate(bytesFor(limits), absl::StrCat("batches and results of rank ", rank)));
  arrays.carve(limits, arrays.memory->address());
  return arrays;
}

void StepArrays::load(const StepBatch &batch, plan::DType hiddenType) {
  kernelStep = stepOf(batch);
  kernelStep.positions = positions;
  kernelStep.sequence = sequence;
  kernelStep.pageTable = pageTable;
  kernelStep.outputRows = outputRows;
  std::copy(batch.ids.begin(), batch.ids.end(), reinterpret_cast<int32_t *>(idsArray));
  std::copy(batch.positions.begin(), batch.positions.end(), positions);
  std::copy(batch.sequence.begin(), batch.sequence.end(), sequence);
  std::copy(batch.pageTable.begin(), batch.pageTable.end(), pageTable);
  std::copy(batch.outputRows.begin(), batch.outputRows.end(), outputRows);
  if (hiddenType == plan::DType::BF16)
    std::transform(batch.hidden.begin(), batch.hidden.end(),
                   reinterpret_cast<uint16_t *>(hiddenArray), bfloat16OfFloat);
  else
    std::copy(batch.hidden.begin(), batch.hidden.end(), reinterpret_cast<float *>(hiddenArray));
}

} // namespace epigraph
