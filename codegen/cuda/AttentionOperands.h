// What attention kernels read: queries as views, caches as arguments.
#ifndef EPIGRAPH_CODEGEN_CUDA_ATTENTIONOPERANDS_H
#define EPIGRAPH_CODEGEN_CUDA_ATTENTIONOPERANDS_H

#include "codegen/cuda/KernelAssembly.h"
#include "codegen/cuda/SharedRows.h"

namespace epigraph::cuda {

/// The view of a query, [rows, heads, elements] of bf16, whose heads are contiguous inside, or a
/// diagnostic.
mlir::FailureOr<TensorView> queryView(KernelAssembly &assembly, mlir::Operation *op,
                                      mlir::Value operand, llvm::StringRef name);

/// The argument that the cache of `op` is, of bf16, or a diagnostic.
mlir::FailureOr<mlir::BlockArgument> cacheArgument(KernelAssembly &assembly, mlir::Operation *op,
                                                   mlir::Value cache);

/// Success if `elements`, the size that `name` says, is a multiple of 16 up to `most`; else a
/// diagnostic.
mlir::LogicalResult checkHeadSize(KernelAssembly &assembly, mlir::Operation *op,
                                  llvm::StringRef name, int64_t elements, int64_t most);

/// The rows of one head of a query from row `row` on.
GlobalRows rowsOfHead(KernelFrame &frame, const TensorView &query, Val row, Val head, int64_t rows);

/// The heads of one row of a query from `head` on.
GlobalRows headsOfRow(KernelFrame &frame, const TensorView &query, Val row, Val head,
                      int64_t heads);

// Tensor maps, of chunks of 64 columns (128 bytes, swizzled).

/// Whether a tensor map can describe the argument that `query`, [rows, heads, columns], is of:
/// heads follow one another at multiples of 16 bytes, and the view begins within the first.
bool isMappable(const TensorView &query);

/// Of boxes of `heads` heads and `rows` rows; coordinates are column (that of the view's first is
/// its offset), head, row.
TensorMapSpec queryMap(KernelAssembly &assembly, const TensorView &query, int64_t heads,
                       int64_t rows);

/// Of boxes of a page of entries of `entry` elements; coordinates are column, slot.
TensorMapSpec cacheMap(KernelAssembly &assembly, mlir::BlockArgument cache, int64_t entry);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ATTENTIONOPERANDS_H
