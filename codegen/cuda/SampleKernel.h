// The builder of epi.sample. Apart from KernelBuilders.h, as its operation is from Epi.h.
#ifndef EPIGRAPH_CODEGEN_CUDA_SAMPLEKERNEL_H
#define EPIGRAPH_CODEGEN_CUDA_SAMPLEKERNEL_H

#include "codegen/cuda/KernelAssembly.h"
#include "dialects/epi/Sampling.h"

namespace epigraph::cuda {

mlir::LogicalResult buildSample(KernelAssembly &assembly, epi::SampleOp op);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_SAMPLEKERNEL_H
