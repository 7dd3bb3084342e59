// Projections of few rows, which take as long as their weights take to arrive: weights pass through
// shared memory, where they are before x is, into the matrix products of single warps. One matrix
// or an expert's for each group of rows, bf16 or e4m3 with scales.
//
// A block keeps to its multiprocessor and has all of K for the units that are its own, a few
// columns each, so that no block waits for sums of another. One warp fetches, others share K and
// multiply (NarrowProducts.h), and two add up what these leave and store it.
#ifndef EPIGRAPH_CODEGEN_CUDA_NARROWLINEAR_H
#define EPIGRAPH_CODEGEN_CUDA_NARROWLINEAR_H

#include "codegen/cuda/NarrowLayout.h"

namespace epigraph::cuda {

/// Whether the projection has the types and alignments that copies and mma.sync ask for. It does
/// not quantize: no unit has the 128 columns of a scale.
bool canBeNarrow(const LinearProblem &problem, const LinearEpilogue &epilogue);

/// Whether a block has room for such units. Only if it canBeNarrow.
bool fits(const NarrowTile &tile, const LinearProblem &problem, const LinearEpilogue &epilogue,
          const CudaTarget &target);

/// Adds a function that computes the projection in such units to the variant, which is for up to
/// `mostRows` rows (0: any number). Only if it fits.
void addNarrowLinear(KernelAssembly &assembly, const LinearProblem &problem,
                     const LinearEpilogue &epilogue, const NarrowTile &tile, int64_t mostRows);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_NARROWLINEAR_H
