// Units of work that the blocks of a launch take in order, each as it is free: a unit may wait for
// units before it. Whoever has one of those is running, so nothing waits for a block that is not,
// however many blocks fit the device.
#ifndef EPIGRAPH_CODEGEN_CUDA_ORDEREDWORK_H
#define EPIGRAPH_CODEGEN_CUDA_ORDEREDWORK_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// Emits `work` for the units [0, units) that this block takes. `next`: an i32 in global memory,
/// zero when the launch starts; `slot`: 4 bytes of shared memory. The block meets between units.
void forOrderedUnits(Emitter &e, Val units, Val next, Val slot,
                     llvm::function_ref<void(Val unit)> work);

/// The next of `units` units that nobody has taken, or a number past them; by one thread of each
/// block of the launch, until it gets such a number. `next`: as above, and zero again in the end.
Val takeTicket(Emitter &e, Val next, Val units);

/// Adds one to `counter`, an i32 in global memory, when the whole block is done with what it wrote.
void countDone(Emitter &e, Val counter);

/// Waits, the whole block, until `counter` is at least `count`; what was written before it was
/// counted is then there.
void waitForCount(Emitter &e, Val counter, Val count);
/// The same for the thread alone.
void waitForCountAlone(Emitter &e, Val counter, Val count);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ORDEREDWORK_H
