// The tiles of a projection that blocks compute one by one, for any kind of projection: of one
// matrix and of heads each block has one, of groups of rows a block takes every so many-th.
#ifndef EPIGRAPH_CODEGEN_CUDA_BLOCKTILES_H
#define EPIGRAPH_CODEGEN_CUDA_BLOCKTILES_H

#include "codegen/cuda/LinearEpilogue.h"

namespace epigraph::cuda {

/// All of i32.
struct BlockTile {
  Val matrix; ///< head or expert; null of an only matrix
  Val row;    ///< the first
  Val rowEnd; ///< end of the rows that belong to it; more than `row`
  Val column; ///< the first, of each part of the product (LinearEpilogue::parts)
};

struct BlockTiles {
  int64_t rows = 1;    ///< of a tile
  int64_t columns = 1; ///< of a tile, of each part
  int64_t across = 1;  ///< tiles of one matrix along its columns
  int64_t cluster = 1; ///< blocks that share a tile
  const LinearProblem *problem = nullptr;

  BlockTiles(const LinearProblem &problem, const LinearEpilogue &epilogue, int64_t rows,
             int64_t columns, int64_t cluster = 1);

  /// Fills in what of `spec` says how many blocks there are; `blocksOfCore` of them fit a
  /// multiprocessor.
  void setGrid(FunctionSpec &spec, const CudaTarget &target, int64_t blocksOfCore) const;
  /// Shared memory that forEach needs; aligned to 16.
  int64_t sharedBytes() const;

  /// Emits `body` for the tiles of the block, after the kernel before has ended. Blocks of a
  /// cluster, and threads of a block, take the same tiles.
  void forEach(KernelFrame &frame, Val shared, int64_t threads,
               llvm::function_ref<void(const BlockTile &)> body) const;
  /// The block's tile of a projection that is not Grouped. `rowEnd` is null.
  BlockTile ofBlock(KernelFrame &frame) const;

private:
  void forEachOfGroups(KernelFrame &frame, Val shared, int64_t threads,
                       llvm::function_ref<void(const BlockTile &)> body) const;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_BLOCKTILES_H
