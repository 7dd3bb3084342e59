// Projections of any shape, element types and strides, without matrix units: for what the fast
// kernels (WideLinear.h, SkinnyLinear.h) cannot take, and for float32.
#ifndef EPIGRAPH_CODEGEN_CUDA_GENERALLINEAR_H
#define EPIGRAPH_CODEGEN_CUDA_GENERALLINEAR_H

#include "codegen/cuda/LinearEpilogue.h"

namespace epigraph::cuda {

/// Adds a function that computes the projection for any number of rows to the variant. Only if the
/// epilogue does not quantize.
void addGeneralLinear(KernelAssembly &assembly, const LinearProblem &problem,
                      const LinearEpilogue &epilogue);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_GENERALLINEAR_H
