// Projections of heads. A block has a head's matrix, or some of its columns, in shared memory
// before the kernel before has ended, and multiplies all rows by it: so when x is there, little is
// left to do for few rows, and no weight is read twice for many.
#ifndef EPIGRAPH_CODEGEN_CUDA_HEADLINEAR_H
#define EPIGRAPH_CODEGEN_CUDA_HEADLINEAR_H

#include "codegen/cuda/LinearEpilogue.h"

namespace epigraph::cuda {

/// Whether `problem` is of heads of bf16 with the alignments that 16-byte copies and mma.sync ask
/// for, and as many of a head's columns fit shared memory as the epilogue needs together.
bool canBeOfHeads(const LinearProblem &problem, const LinearEpilogue &epilogue,
                  const CudaTarget &target);

/// Adds variants for few rows and for any number. Only if it canBeOfHeads.
void addHeadLinear(KernelAssembly &assembly, const LinearProblem &problem,
                   const LinearEpilogue &epilogue);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_HEADLINEAR_H
