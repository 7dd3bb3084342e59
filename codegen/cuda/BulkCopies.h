// Copies from global to shared memory by the asynchronous copy engine without a tensor map; also of
// what other threads of the same launch have stored.
#ifndef EPIGRAPH_CODEGEN_CUDA_BULKCOPIES_H
#define EPIGRAPH_CODEGEN_CUDA_BULKCOPIES_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// Fetches `bytes` bytes into shared memory and counts them at `barrier` (Hopper.h). Addresses and
/// size are multiples of 16. `policy`: as evictFirst (Hopper.h), or null.
void copyBytesIn(Val target, Val source, Val bytes, Val barrier, Val policy = {});

/// Makes ordinary stores to global memory visible to such copies: by the threads that stored,
/// before they tell of it, and by the one that copies, after it has learned of it.
void fenceAsyncGlobal(Emitter &e);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_BULKCOPIES_H
