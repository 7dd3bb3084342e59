// What kernels of rows fetch into the second-level cache while the kernel before still runs.
#ifndef EPIGRAPH_CODEGEN_CUDA_ROWPREFETCH_H
#define EPIGRAPH_CODEGEN_CUDA_ROWPREFETCH_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

inline constexpr int64_t kCacheLine = 128; ///< bytes

/// Fetches the line at `address`, in global memory.
void prefetchLine(Val address);

/// A vector that meets every row, or what computes one.
bool isVector(mlir::Value value);

/// Fetches the kernel's vectors that meet all rows. One block, of `threads`, does: if all did, they
/// would queue for the same lines.
void prefetchVectors(KernelFrame &frame, int64_t threads);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ROWPREFETCH_H
