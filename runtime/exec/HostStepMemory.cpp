#include "runtime/exec/HostStepMemory.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/exec/BatchStep.h"

namespace epigraph {

uint64_t HostStepMemory::carve(const StepLimits &limits, uint8_t *base) {
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
  take(convertedLogits, limits.sequences * limits.convertedLogits);
  return used;
}

uint64_t HostStepMemory::bytesFor(const StepLimits &limits) {
  return HostStepMemory().carve(limits, nullptr);
}

absl::StatusOr<std::unique_ptr<HostStepMemory>>
HostStepMemory::create(Driver &driver, const StepLimits &limits, int rank) {
  std::unique_ptr<HostStepMemory> result(new HostStepMemory());
  EPIGRAPH_ASSIGN_OR_RETURN(
      result->memory,
      driver.allocate(bytesFor(limits), absl::StrCat("batches and results of rank ", rank)));
  result->carve(limits, result->memory->address());
  return result;
}

void HostStepMemory::load(const StepBatch &batch, const RankProgram &program) {
  kernelStep = stepOf(batch);
  kernelStep.positions = positions;
  kernelStep.sequence = sequence;
  kernelStep.pageTable = pageTable;
  kernelStep.outputRows = outputRows;
  stepExtent = {kernelStep.tokens, kernelStep.outputs, kernelStep.tokens, {}};
  std::copy(batch.ids.begin(), batch.ids.end(), reinterpret_cast<int32_t *>(idsArray));
  std::copy(batch.positions.begin(), batch.positions.end(), positions);
  std::copy(batch.sequence.begin(), batch.sequence.end(), sequence);
  std::copy(batch.pageTable.begin(), batch.pageTable.end(), pageTable);
  std::copy(batch.outputRows.begin(), batch.outputRows.end(), outputRows);
  convertFromFloat32(batch.hidden, program.hiddenInputType, hiddenArray);
}

void HostStepMemory::finish(const RankProgram &program) {
  const RowArray &logits = program.logits;
  if (logits.dtype != plan::DType::F32)
    convertToFloat32(logits.address, logits.dtype,
                     static_cast<size_t>(kernelStep.outputs) * elementsOfRow(logits),
                     convertedLogits);
}

StepResult HostStepMemory::result(const RankProgram &program, bool wantHidden) const {
  const RowArray &logits = program.logits;
  StepResult result;
  result.logits = {logits.dtype == plan::DType::F32
                       ? reinterpret_cast<const float *>(logits.address)
                       : convertedLogits,
                   static_cast<size_t>(kernelStep.outputs) * elementsOfRow(logits)};
  if (wantHidden) {
    const RowArray &hidden = program.hidden;
    result.hidden.resize(static_cast<size_t>(kernelStep.tokens) * elementsOfRow(hidden));
    convertToFloat32(hidden.address, hidden.dtype, result.hidden.size(), result.hidden.data());
  }
  return result;
}

} // namespace epigraph
