// What kernels.json says of a kernel: its signature, and how it is launched (docs/cuda-kernels.md).
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_COMPILE_KERNELS_KERNELSJSON_H
#define EPIGRAPH_TOOLS_EPIGRAPH_COMPILE_KERNELS_KERNELSJSON_H

#include <string>

#include "mlir/IR/BuiltinOps.h"
#include "runtime/artifact/DeviceKernel.h"

namespace epigraph {

/// The signatures of the kernels of `module`, with the launches of each, in the same order.
std::string kernelsJson(mlir::ModuleOp module, const DeviceKernels &kernels);

} // namespace epigraph

#endif // EPIGRAPH_TOOLS_EPIGRAPH_COMPILE_KERNELS_KERNELSJSON_H
