// A block that attends by products of warpgroups, one unit of work after the other: a warpgroup of
// which one thread fetches, and two that multiply. The thread that fetches takes the units, runs
// ahead as far as the buffers let it, and tells the others what each is.
#ifndef EPIGRAPH_CODEGEN_CUDA_WARPGROUPBLOCK_H
#define EPIGRAPH_CODEGEN_CUDA_WARPGROUPBLOCK_H

#include "codegen/cuda/WarpgroupTile.h"

namespace epigraph::cuda {

class WarpgroupBlock {
public:
  virtual ~WarpgroupBlock() = default;

  /// Emits the function. `maps`: how many tensor maps it has.
  void emit(int64_t maps);

protected:
  WarpgroupBlock(KernelFrame &frame, const TileShape &shape)
      : frame(frame), e(frame.e), shape(shape), rings(e, shape), tile(e, shape, rings) {}

  /// How many units there are.
  virtual Val units() = 0;
  /// The next unit that no block has taken; past the last, any number as large. By one thread.
  virtual Val takeUnit() = 0;
  /// Fetches what unit `unit` needs, and calls handOver once. By one thread; returns `uses` after
  /// it.
  virtual TileUses fetchUnit(Val unit, const TileUses &uses) = 0;
  /// Computes the unit. By the warpgroups that multiply; returns `uses` after it.
  virtual TileUses computeUnit(Val unit, const TileUses &uses) = 0;

  /// Tells the others of a unit, of whose queries `bytes` are on their way.
  void handOver(Val unit, Val use, int64_t bytes);

  /// Starts the copies of page `page` to `target`, of which `full` is told.
  using CopyPage = llvm::function_ref<void(Val page, Val target, Val full)>;
  /// Fetches the steps of a tile.
  void fetchSteps(const TilePages &pages, const TileUses &uses, CopyPage copyKeys,
                  CopyPage copyValues);
  TileUses afterTile(const TilePages &pages, const TileUses &uses);

  /// Boxes of 64 columns from column `column` of `map` on and `rows` further coordinates, one for
  /// each chunk.
  void copyChunks(Val target, int64_t chunks, size_t map, Val column, llvm::ArrayRef<Val> rows,
                  Val full);

  KernelFrame &frame;
  Emitter &e;
  const TileShape shape;
  const TileRings rings;
  WarpgroupTile tile;

private:
  void fetchUnits();
  void multiplyUnits();
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WARPGROUPBLOCK_H
