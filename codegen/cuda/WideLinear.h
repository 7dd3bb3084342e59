// Projections of many rows: tiles by wgmma, fed by tensor maps. One design for one matrix or an
// expert's for each group of rows, bf16 or e4m3 with scales, and any epilogue.
//
// A block has one warpgroup that fetches and one or two that multiply (WideProducts.h), keeps to
// its multiprocessor and takes tile after tile (WorkList.h); results leave through shared memory
// (WideStore.h).
#ifndef EPIGRAPH_CODEGEN_CUDA_WIDELINEAR_H
#define EPIGRAPH_CODEGEN_CUDA_WIDELINEAR_H

#include "codegen/cuda/WideLayout.h"

namespace epigraph::cuda {

/// Whether the projection has the types and alignments that tensor maps and wgmma ask for.
bool canBeWide(const LinearProblem &problem, const LinearEpilogue &epilogue);

/// Whether the projection can be cut into such tiles. Only if it canBeWide.
bool fits(const WideTile &tile, const LinearProblem &problem, const LinearEpilogue &epilogue,
          const CudaTarget &target);

/// Adds the function that computes the projection in such tiles to the variant, which is for up to
/// `mostRows` rows (0: any number). Only if it fits.
void addWideLinear(KernelAssembly &assembly, const LinearProblem &problem,
                   const LinearEpilogue &epilogue, const WideTile &tile, int64_t mostRows);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WIDELINEAR_H
