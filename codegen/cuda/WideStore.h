// From the sums of a tile to the kernel's results. Slabs of sums pass through shared memory, where
// fragments become rows: a thread then has 8 neighbouring columns of one row, whose epilogue it
// evaluates and stores, in whole cache lines, for the rows and columns that exist.
//
// Blocks of a cluster that share K leave their sums in shared memory, and each adds up a part of
// the rows. Blocks of a streamed projection leave theirs in the workspace, for the one that has the
// start of the tile.
#ifndef EPIGRAPH_CODEGEN_CUDA_WIDESTORE_H
#define EPIGRAPH_CODEGEN_CUDA_WIDESTORE_H

#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/WorkList.h"

namespace epigraph::cuda {

class WideStore {
public:
  WideStore(const WideKernel &kernel, const WorkList &list, Val warpgroup);

  /// Of one tile; `sums`: the accumulators of the thread's warpgroup.
  void store(const WorkTile &tile, llvm::MutableArrayRef<Accumulator> sums);

private:
  void storeWhole(const WorkTile &tile, llvm::MutableArrayRef<Accumulator> sums);
  void storeSplit(const WorkTile &tile, llvm::ArrayRef<Accumulator> sums);
  /// Part of a team's tile: rows and columns from there on.
  struct Slab {
    int64_t row, column;
    Val memory;
  };
  Slab slabAt(int64_t index);
  Vals biasOf(const WorkTile &tile, int64_t weightRow, Val inTile, int64_t count);
  void addBias(const WorkTile &tile, llvm::MutableArrayRef<Accumulator> sums);
  void stage(const Slab &slab, llvm::ArrayRef<Accumulator> sums);
  void stageRounded(const Slab &slab, llvm::ArrayRef<Accumulator> sums, int64_t part);
  void stageExact(const Slab &slab, llvm::ArrayRef<Accumulator> sums, int64_t part);
  void drain(const Slab &slab, const WorkTile &tile);
  void drainRows(const Slab &slab, const WorkTile &tile, llvm::ArrayRef<Val> slabRows);

  /// The staged sums of a thread's 8 columns.
  Vals loadSums(const Slab &slab, Val slabRow, int64_t part);
  /// Register `reg` of the 8 columns from `column` of a part on; swapped: of the 8 rows from `row`.
  Val fragmentOf(llvm::ArrayRef<Accumulator> sums, int64_t part, int64_t column, int64_t row,
                 int64_t reg) const;

  // Of a streamed projection.
  Val partialOf(Val share);
  Val flagOf(Val share);
  void leavePartial(llvm::ArrayRef<Accumulator> sums);
  void addPartials(const WorkTile &tile, llvm::MutableArrayRef<Accumulator> sums);
  /// All threads that multiply.
  void meet();

  const WideKernel &kernel;
  const WorkList &list;
  const WideLayout &layout;
  Emitter &e;
  Val warpgroup, warp, lane;
  Val team;
  Val chunk;    ///< of 8 columns, which the thread drains
  Val chunkRow; ///< of the slab, the first that it drains
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WIDESTORE_H
