// Projections of few rows, which take as long as their weights take to arrive: weights stream from
// memory through registers, once, into the matrix products of single warps. Any kind of projection,
// bf16 or e4m3 with scales.
#ifndef EPIGRAPH_CODEGEN_CUDA_SKINNYLINEAR_H
#define EPIGRAPH_CODEGEN_CUDA_SKINNYLINEAR_H

#include "codegen/cuda/LinearEpilogue.h"

namespace epigraph::cuda {

/// The choices that are free. A tile is `rows` of x by 16 * fragments * warpsAcross rows of
/// weights, those of all parts together.
struct SkinnyTile {
  int64_t rows = 8;        ///< a multiple of 8
  int64_t fragments = 1;   ///< of 16 weight rows, of a warp; a multiple of the epilogue's parts
  int64_t warpsAcross = 1; ///< along the weight rows
  int64_t warpsDeep = 8;   ///< that share K
  int64_t split = 1;       ///< blocks that share K: 1, 2, 4 or 8
  int64_t unroll = 4;      ///< loads in a row, each of 64 bytes of every weight row; even

  bool operator==(const SkinnyTile &) const = default;
};

/// Whether the projection has the types and alignments that 16-byte loads and mma.sync ask for.
bool canBeSkinny(const LinearProblem &problem, const LinearEpilogue &epilogue);

/// A tile for launches of up to `mostRows` rows (of each group, about).
SkinnyTile skinnyTile(const LinearProblem &problem, const LinearEpilogue &epilogue,
                      int64_t mostRows, const CudaTarget &target);

/// Adds a function that computes the projection in such tiles to the variant. Only if it
/// canBeSkinny. It is right for any number of rows.
void addSkinnyLinear(KernelAssembly &assembly, const LinearProblem &problem,
                     const LinearEpilogue &epilogue, const SkinnyTile &tile);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_SKINNYLINEAR_H
