// Kernels that move each row in independent pieces: a thread takes one unit of one row.
#ifndef EPIGRAPH_CODEGEN_CUDA_ROWUNITS_H
#define EPIGRAPH_CODEGEN_CUDA_ROWUNITS_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

/// How the units of all rows are spread over threads: a block takes a part of one long row, or
/// several short rows.
class RowUnits {
public:
  /// Every row has `units` units, at least one.
  explicit RowUnits(int64_t units);

  FunctionSpec spec() const;

  /// Waits for the kernel before and emits `body` for this thread's unit, if it has one.
  void emit(KernelFrame &frame, llvm::function_ref<void(Val row, Val unit)> body) const;

private:
  static constexpr int64_t kThreads = 128;

  int64_t units;
  int64_t rowTile = 1, columnTiles = 1;
};

/// The most bytes that may be moved at once within `view`: the largest power of two up to 16 that
/// divides the place and the length of each run of contiguous elements. `columns` are the elements
/// of a run. The last dimension must be contiguous.
int64_t accessBytes(const TensorView &view, int64_t columns);

/// The largest power of two up to 16 that divides `bytes`.
int64_t alignmentOf(int64_t bytes);

/// Copies `bytes` (a power of two up to 16) between addresses that are aligned to as many.
void copyBytes(Emitter &e, Val from, Val to, int64_t bytes);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ROWUNITS_H
