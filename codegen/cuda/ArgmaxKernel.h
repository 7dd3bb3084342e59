// The builder of epi.argmax. Apart from KernelBuilders.h, as its operation is from Epi.h.
#ifndef EPIGRAPH_CODEGEN_CUDA_ARGMAXKERNEL_H
#define EPIGRAPH_CODEGEN_CUDA_ARGMAXKERNEL_H

#include "codegen/cuda/KernelAssembly.h"
#include "dialects/epi/Sampling.h"

namespace epigraph::cuda {

mlir::LogicalResult buildArgmax(KernelAssembly &assembly, epi::ArgmaxOp op);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ARGMAXKERNEL_H
