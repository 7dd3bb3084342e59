// A barrier among all blocks of a launch. They must all be resident at once: FunctionSpec's
// `persistent` is 1, and nothing that a block waits for comes after the launch.
#ifndef EPIGRAPH_CODEGEN_CUDA_GRIDBARRIER_H
#define EPIGRAPH_CODEGEN_CUDA_GRIDBARRIER_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// Waits until all blocks have come here for the `round`-th time, from 1 on; what they wrote to
/// global memory before is then there. `counter`: an i32 in global memory, zero when the launch
/// starts.
inline void meetGrid(Emitter &e, Val counter, Val round) {
  e.syncThreads();
  e.ifThen(e.threadId() == 0, [&] {
    e.threadFence();
    e.addRelease(e.i32(1), counter);
    Val all = round * e.blockCount();
    e.whileLoop(
        {}, [&](llvm::ArrayRef<Val>) { return e.loadAcquire(counter) < all; },
        [](llvm::ArrayRef<Val>) { return Vals(); });
  });
  e.syncThreads();
}

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_GRIDBARRIER_H
