#include "codegen/cuda/BlockTiles.h"

#include "codegen/cuda/GroupList.h"

namespace epigraph::cuda {

BlockTiles::BlockTiles(const LinearProblem &problem, const LinearEpilogue &epilogue, int64_t rows,
                       int64_t columns, int64_t cluster)
    : rows(rows), columns(columns), across(llvm::divideCeil(epilogue.columns(), columns)),
      cluster(cluster), problem(&problem) {}

void BlockTiles::setGrid(FunctionSpec &spec, const CudaTarget &target, int64_t blocksOfCore) const {
  spec.cluster = cluster;
  spec.rowTile = rows;
  spec.columnTiles = across * cluster;
  if (problem->kind == LinearKind::Heads)
    spec.columnTiles *= problem->matrices;
  if (problem->kind != LinearKind::Grouped)
    return;
  // How many tiles there are is known to the device alone.
  spec.rowTile = 0;
  spec.columnTiles = target.multiprocessors * blocksOfCore / cluster * cluster;
}

int64_t BlockTiles::sharedBytes() const {
  return problem->kind == LinearKind::Grouped ? GroupList::bytes(problem->matrices) : 0;
}

void BlockTiles::forEach(KernelFrame &frame, Val shared, int64_t threads,
                         llvm::function_ref<void(const BlockTile &)> body) const {
  if (problem->kind == LinearKind::Grouped)
    return forEachOfGroups(frame, shared, threads, body);
  BlockTile tile = ofBlock(frame);
  tile.rowEnd = frame.rows();
  frame.e.ifThen(tile.row < tile.rowEnd, [&] { body(tile); });
}

BlockTile BlockTiles::ofBlock(KernelFrame &frame) const {
  BlockTile tile;
  Val index = frame.e.blockId();
  if (cluster > 1)
    index = index / cluster;
  tile.column = index % across * columns;
  index = index / across;
  if (problem->kind == LinearKind::Heads) {
    tile.matrix = index % problem->matrices;
    index = index / problem->matrices;
  }
  tile.row = index * rows;
  return tile;
}

/// Tiles run down the rows of a group before they move on by columns, so that what runs at the same
/// time reads the same weights.
void BlockTiles::forEachOfGroups(KernelFrame &frame, Val shared, int64_t threads,
                                 llvm::function_ref<void(const BlockTile &)> body) const {
  Emitter &e = frame.e;
  const GroupList list(e, shared, problem->matrices, rows, across);
  list.make(frame.rowAddress(*problem->counts, e.i32(0)), threads);
  e.syncThreads();
  Val first = e.blockId(), step = e.blockCount();
  if (cluster > 1) {
    first = first / cluster;
    step = step / cluster;
  }
  e.forLoop(first, list.tiles(), step, e.i32(0), [&](Val index, llvm::ArrayRef<Val> carried) {
    Val place = list.find(index, carried[0]);
    const GroupList::Group group = list.at(place);
    Val inGroup = index - group.firstTile;
    Val down = e.ceilDiv(group.rowEnd - group.firstRow, rows);
    Val columnTile = inGroup / down;
    Val row = group.firstRow + (inGroup - columnTile * down) * rows;
    body({group.index, row, group.rowEnd, columnTile * columns});
    return Vals{place};
  });
}

} // namespace epigraph::cuda
