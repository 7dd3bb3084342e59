// The tiles of a wide projection in the order in which they are computed, and which of them each
// cluster of blocks takes: every n-th, where n is the number of clusters.
//
// One matrix: tiles run down a band of rows before they move on by columns, so that what runs at
// the same time shares both rows and weights in the cache. Groups: one after the other, those
// without rows left out (GroupList.h).
#ifndef EPIGRAPH_CODEGEN_CUDA_WORKLIST_H
#define EPIGRAPH_CODEGEN_CUDA_WORKLIST_H

#include "codegen/cuda/GroupList.h"
#include "codegen/cuda/WideLayout.h"

namespace epigraph::cuda {

/// All of i32.
struct WorkTile {
  Val index;  ///< among all tiles
  Val matrix; ///< expert; 0 of an only matrix
  Val row;    ///< the first of the tile, of this block
  Val rowEnd; ///< end of the rows that belong to it; null where there is one tile along the rows
  Val column; ///< the first, in each part
  Val depthBegin, depthEnd; ///< blocks of K that are this block's
};

class WorkList {
public:
  /// Emits what is computed once, by all threads, before a barrier of the block.
  explicit WorkList(const WideKernel &kernel);

  /// Emits `body` for each tile of the block. Only after that barrier.
  Vals forEachTile(llvm::ArrayRef<Val> initial,
                   llvm::function_ref<Vals(const WorkTile &, llvm::ArrayRef<Val>)> body) const;

  /// The block's first tile. Without one, which cannot be where there is one tile along the rows,
  /// it has no K.
  WorkTile firstTile() const;

  /// Of a streamed projection: the block's share. Those of later blocks come first, so that who
  /// completes a tile waits only for blocks that have started before it.
  Val share() const;
  /// The last share that has steps of tile `tile`.
  Val lastShareOf(const WorkTile &tile) const;

private:
  /// How steps along K of all tiles are shared out.
  struct Shares {
    Val steps, size, larger;
  };

  Val tiles() const;
  WorkTile tileAt(Val index, Val &place) const;
  Vals forEachShared(llvm::ArrayRef<Val> initial,
                     llvm::function_ref<Vals(const WorkTile &, llvm::ArrayRef<Val>)> body) const;
  Shares shares() const;
  Val firstStep(const Shares &all, Val share) const;
  WorkTile partOf(WorkTile tile, Val step, Val end) const;
  WorkTile tileOf(Val index, Val matrix, Val row, Val rowEnd, Val column) const;
  WorkTile tileOfColumns(Val index) const;
  WorkTile tileOfMatrix(Val index) const;
  WorkTile tileOfGroup(Val index, Val place) const;

  const WideKernel &kernel;
  Emitter &e;
  int64_t bandRows; ///< of x that the blocks of a cluster compute together
  GroupList groups;
  Val rows;     ///< null where there is one tile along them
  Val rowTiles; ///< of a cluster, of an only matrix
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WORKLIST_H
