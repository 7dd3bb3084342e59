#include "codegen/cuda/WorkList.h"

namespace epigraph::cuda {
namespace {

/// Tiles of a band, along the rows.
constexpr int64_t kBandTiles = 8;

} // namespace

WorkList::WorkList(const WideKernel &kernel)
    : kernel(kernel), e(kernel.e()),
      bandRows(kernel.layout.tile.rows * kernel.layout.tile.multicast),
      groups(e, e.offset(kernel.shared, kernel.layout.listAt), kernel.problem.matrices, bandRows,
             kernel.layout.columnTiles),
      rows(kernel.layout.hasOneRowTile ? Val() : kernel.frame.rows()),
      rowTiles(rows ? e.ceilDiv(rows, bandRows) : e.i32(1)) {
  if (kernel.problem.kind == LinearKind::Grouped)
    groups.make(kernel.frame.rowAddress(*kernel.problem.counts, e.i32(0)), kernel.layout.threads());
}

Vals WorkList::forEachTile(
    llvm::ArrayRef<Val> initial,
    llvm::function_ref<Vals(const WorkTile &, llvm::ArrayRef<Val>)> body) const {
  const WideLayout &layout = kernel.layout;
  const int64_t cluster = layout.cluster;
  if (layout.tile.streamed)
    return forEachShared(initial, body);
  Val first = e.blockId() / cluster, step = e.blockCount() / cluster;
  if (layout.hasOneRowTile)
    return e.forLoop(first, e.i32(layout.columnTiles), step, initial,
                     [&](Val index, llvm::ArrayRef<Val> carried) {
                       return body(tileOfColumns(index), carried);
                     });
  if (kernel.problem.kind != LinearKind::Grouped)
    return e.forLoop(
        first, rowTiles * layout.columnTiles, step, initial,
        [&](Val index, llvm::ArrayRef<Val> carried) { return body(tileOfMatrix(index), carried); });
  Vals withPlace{e.i32(0)};
  withPlace.append(initial.begin(), initial.end());
  Vals last = e.forLoop(first, groups.tiles(), step, withPlace,
                        [&](Val index, llvm::ArrayRef<Val> carried) {
                          Vals next{groups.find(index, carried[0])};
                          next.append(body(tileOfGroup(index, next[0]), carried.drop_front()));
                          return next;
                        });
  last.erase(last.begin());
  return last;
}

WorkTile WorkList::firstTile() const {
  if (kernel.layout.tile.streamed)
    return tileOfStep(firstStep(share()), firstStep(share() + 1));
  return tileOfColumns(e.blockId() / kernel.layout.cluster);
}

// Streamed.

Val WorkList::share() const { return e.i32(kernel.layout.shares - 1) - e.blockId(); }

Val WorkList::firstStep(Val share) const {
  return share * kernel.layout.steps() / kernel.layout.shares;
}

/// The last whose first step is before the end of the tile.
Val WorkList::lastShareOf(const WorkTile &tile) const {
  const WideLayout &layout = kernel.layout;
  Val end = (tile.column / layout.tile.columns + 1) * layout.blocksOfDepth;
  return (end * layout.shares - 1) / layout.steps();
}

/// From `step` on, to the end of its tile or of the block's share.
WorkTile WorkList::tileOfStep(Val step, Val end) const {
  const int64_t blocks = kernel.layout.blocksOfDepth;
  WorkTile tile = tileOfColumns(step / blocks);
  tile.depthBegin = step % blocks;
  tile.depthEnd = e.minimum(tile.depthBegin + (end - step), e.i32(blocks));
  return tile;
}

Vals WorkList::forEachShared(
    llvm::ArrayRef<Val> initial,
    llvm::function_ref<Vals(const WorkTile &, llvm::ArrayRef<Val>)> body) const {
  Val begin = firstStep(share()), end = firstStep(share() + 1);
  Vals withStep{begin};
  withStep.append(initial.begin(), initial.end());
  Vals last = e.whileLoop(
      withStep, [&](llvm::ArrayRef<Val> at) { return at[0] < end; },
      [&](llvm::ArrayRef<Val> at) {
        const WorkTile tile = tileOfStep(at[0], end);
        Vals next{at[0] + (tile.depthEnd - tile.depthBegin)};
        next.append(body(tile, at.drop_front()));
        return next;
      });
  last.erase(last.begin());
  return last;
}

/// All of K, or the block's part of it in its cluster.
WorkTile WorkList::tileOf(Val matrix, Val row, Val rowEnd, Val column) const {
  const int64_t blocks = kernel.layout.blocksOfDepth, split = kernel.layout.tile.split;
  if (split == 1)
    return {matrix, row, rowEnd, column, e.i32(0), e.i32(blocks)};
  return {matrix,
          row,
          rowEnd,
          column,
          kernel.rank * blocks / split,
          (kernel.rank + 1) * blocks / split};
}

WorkTile WorkList::tileOfColumns(Val index) const {
  const WideLayout &layout = kernel.layout;
  Val row = e.i32(0);
  if (layout.tile.multicast > 1)
    row = kernel.rank * layout.tile.rows;
  return tileOf(e.i32(0), row, Val(), index * layout.tile.columns);
}

/// Bands of kBandTiles: within one, down the rows first.
WorkTile WorkList::tileOfMatrix(Val index) const {
  const WideLayout &layout = kernel.layout;
  const int64_t tilesOfBand = kBandTiles * layout.columnTiles;
  Val band = index / tilesOfBand, inBand = index % tilesOfBand;
  Val firstRowTile = band * kBandTiles;
  Val height = e.minimum(rowTiles - firstRowTile, e.i32(kBandTiles));
  Val columnTile = inBand / height;
  Val rowTile = firstRowTile + (inBand - columnTile * height);
  Val row = rowTile * bandRows;
  if (layout.tile.multicast > 1)
    row = row + kernel.rank * layout.tile.rows;
  return tileOf(e.i32(0), row, rows, columnTile * layout.tile.columns);
}

WorkTile WorkList::tileOfGroup(Val index, Val place) const {
  const WideLayout &layout = kernel.layout;
  const GroupList::Group group = groups.at(place);
  Val inGroup = index - group.firstTile;
  Val height = e.ceilDiv(group.rowEnd - group.firstRow, bandRows);
  Val columnTile = inGroup / height;
  Val row = group.firstRow + (inGroup - columnTile * height) * bandRows;
  if (layout.tile.multicast > 1)
    row = row + kernel.rank * layout.tile.rows;
  return tileOf(group.index, row, group.rowEnd, columnTile * layout.tile.columns);
}

} // namespace epigraph::cuda
