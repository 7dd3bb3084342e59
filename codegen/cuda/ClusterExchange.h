// What the blocks of a cluster leave with each other in shared memory, counted where it arrives: a
// block waits only for what it reads, not for the others to go on or to end.
#ifndef EPIGRAPH_CODEGEN_CUDA_CLUSTEREXCHANGE_H
#define EPIGRAPH_CODEGEN_CUDA_CLUSTEREXCHANGE_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// Makes the barrier at `barrier`, of 8 bytes in shared memory, count the `bytes` that blocks of
/// the cluster will leave with this one. All blocks meet, so that what is left finds them running.
void openExchange(Val barrier, Val bytes);

/// Leaves `values`, one, two or four of f32, where `target` is in the shared memory of block
/// `rank`, and counts them at its barrier. Aligned to their bytes.
void leaveWith(Val rank, llvm::ArrayRef<Val> values, Val target, Val barrier);

/// Waits until all has been left that is to come.
void awaitExchange(Val barrier);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_CLUSTEREXCHANGE_H
