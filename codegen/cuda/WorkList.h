// The tiles of a wide projection in the order in which they are computed, and which of them each
// cluster of blocks takes: every n-th, where n is the number of clusters.
//
// One matrix: tiles run down a band of rows before they move on by columns, so that what runs at
// the same time shares both rows and weights in the cache. Groups: one after the other, those
// without rows left out; their sizes are known on the device alone, so each block first makes a
// list of groups in shared memory.
#ifndef EPIGRAPH_CODEGEN_CUDA_WORKLIST_H
#define EPIGRAPH_CODEGEN_CUDA_WORKLIST_H

#include "codegen/cuda/WideLayout.h"

namespace epigraph::cuda {

/// All of i32.
struct WorkTile {
  Val matrix; ///< expert; 0 of an only matrix
  Val row;    ///< the first of the tile, of this block
  Val rowEnd; ///< end of the rows that belong to it; more than 0
  Val column; ///< the first, in each part
};

class WorkList {
public:
  /// Emits what is computed once, by all threads, before a barrier of the block.
  explicit WorkList(const WideKernel &kernel);

  /// Emits `body` for each tile of the block. Only after that barrier.
  Vals forEachTile(llvm::ArrayRef<Val> initial,
                   llvm::function_ref<Vals(const WorkTile &, llvm::ArrayRef<Val>)> body) const;

private:
  void listGroups();
  WorkTile tileOfMatrix(Val index) const;
  WorkTile tileOfGroup(Val index, Val group) const;
  Val nextGroup(Val index, Val group) const;
  Val groupField(Val group, int64_t field) const;

  const WideKernel &kernel;
  Emitter &e;
  int64_t bandRows; ///< of x that the blocks of a cluster compute together
  Val rows;
  Val rowTiles; ///< of a cluster, of an only matrix
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WORKLIST_H
