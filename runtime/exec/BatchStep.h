// A batch as kernels see it.
#ifndef EPIGRAPH_RUNTIME_EXEC_BATCHSTEP_H
#define EPIGRAPH_RUNTIME_EXEC_BATCHSTEP_H

#include "runtime/artifact/KernelAbi.h"
#include "runtime/exec/StepExecutor.h"

namespace epigraph {

/// The step of `batch`, over the batch's own arrays, which must outlive it.
inline KernelStep stepOf(const StepBatch &batch) {
  KernelStep step = {};
  step.tokens = static_cast<int64_t>(batch.positions.size());
  step.pageTableStride = batch.pageTableStride;
  step.sequences = step.pageTableStride
                       ? static_cast<int64_t>(batch.pageTable.size()) / step.pageTableStride
                       : 0;
  step.outputs = static_cast<int64_t>(batch.outputRows.size());
  step.positions = batch.positions.data();
  step.sequence = batch.sequence.data();
  step.pageTable = batch.pageTable.data();
  step.outputRows = batch.outputRows.data();
  return step;
}

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_BATCHSTEP_H
