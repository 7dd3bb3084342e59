// The kernel that makes random weights (runtime/artifact/RandomWeights.h).
#ifndef EPIGRAPH_CODEGEN_CUDA_RANDOMWEIGHTSKERNEL_H
#define EPIGRAPH_CODEGEN_CUDA_RANDOMWEIGHTSKERNEL_H

#include "codegen/target/CudaTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/artifact/DeviceKernel.h"

namespace epigraph::cuda {

/// Builds it; its function goes into `functions`.
DeviceKernel buildRandomWeights(mlir::ModuleOp functions, const CudaTarget &target);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_RANDOMWEIGHTSKERNEL_H
