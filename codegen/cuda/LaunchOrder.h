// What is known of the launches around those of a kernel. Kernels start while those before them
// still run (Emitter::waitForPrevious); what they may read before they wait depends on the order.
#ifndef EPIGRAPH_CODEGEN_CUDA_LAUNCHORDER_H
#define EPIGRAPH_CODEGEN_CUDA_LAUNCHORDER_H

#include "dialects/exec/Exec.h"

namespace epigraph::cuda {

/// Whether every launch of `kernel` comes after one of another grouped projection that reads the
/// same sizes of groups as its argument `counts`. Grouped projections let the next kernel start
/// only once they have waited for the one before them, so when a later one starts, whatever comes
/// between, the sizes are written. False if there is no launch.
bool followsProjectionOfGroups(exec::KernelOp kernel, mlir::BlockArgument counts);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_LAUNCHORDER_H
