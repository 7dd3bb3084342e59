// Which tile a wide projection gets, by how many rows a launch may have.
#ifndef EPIGRAPH_CODEGEN_CUDA_LINEARTILES_H
#define EPIGRAPH_CODEGEN_CUDA_LINEARTILES_H

#include <vector>

#include "codegen/cuda/WideLayout.h"

namespace epigraph::cuda {

struct TileChoice {
  int64_t mostRows; ///< of a launch; 0: any number
  WideTile tile;
};

/// The tiles that should be fastest, for rising numbers of rows. Empty if no tile fits. Only of a
/// problem that canBeWide.
std::vector<TileChoice> chooseTiles(const LinearProblem &problem, const LinearEpilogue &epilogue,
                                    const CudaTarget &target);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_LINEARTILES_H
