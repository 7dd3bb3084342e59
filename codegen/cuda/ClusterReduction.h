// Rows that the blocks of a cluster share. A warp leaves what it found in the shared memory of
// every block, so that the cluster meets once, and no block reads what another may have left.
#ifndef EPIGRAPH_CODEGEN_CUDA_CLUSTERREDUCTION_H
#define EPIGRAPH_CODEGEN_CUDA_CLUSTERREDUCTION_H

#include "codegen/cuda/RowChunks.h"

namespace epigraph::cuda {

/// Combines `ofWarp`, one value (f32) of each warp of a row, for rows of which a block has several;
/// every thread gets its row's. All threads of the block must take part. `scratch`: as below.
Val combineOverRow(Emitter &e, Val ofWarp, Val scratch, const RowThreads &threads,
                   llvm::function_ref<Val(Val, Val)> combine);

/// Bytes of shared memory for one reduction over rows of `threads`.
int64_t reductionBytes(const RowThreads &threads);

/// Combines `ofWarp`, one value (f32) of each warp of the cluster, which `threads` describe; every
/// thread gets the result. All must take part. `scratch`: of reductionBytes, and used once. All
/// blocks must be running by then.
Val combineOverCluster(Emitter &e, Val ofWarp, Val scratch, const RowThreads &threads,
                       llvm::function_ref<Val(Val, Val)> combine);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_CLUSTERREDUCTION_H
