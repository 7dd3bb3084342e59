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

Val WorkList::tiles() const {
  if (kernel.problem.kind == LinearKind::Grouped)
    return groups.tiles();
  return rowTiles * kernel.layout.columnTiles;
}

/// `place`: in the list of groups, that of tile `index` or an earlier one; becomes that of the
/// tile.
WorkTile WorkList::tileAt(Val index, Val &place) const {
  if (kernel.layout.hasOneRowTile)
    return tileOfColumns(index);
  if (kernel.problem.kind != LinearKind::Grouped)
    return tileOfMatrix(index);
  place = groups.find(index, place);
  return tileOfGroup(index, place);
}

Vals WorkList::forEachTile(
    llvm::ArrayRef<Val> initial,
    llvm::function_ref<Vals(const WorkTile &, llvm::ArrayRef<Val>)> body) const {
  const int64_t cluster = kernel.layout.cluster;
  if (kernel.layout.tile.streamed)
    return forEachShared(initial, body);
  Vals withPlace{e.i32(0)};
  withPlace.append(initial.begin(), initial.end());
  Vals last = e.forLoop(e.blockId() / cluster, tiles(), e.blockCount() / cluster, withPlace,
                        [&](Val index, llvm::ArrayRef<Val> carried) {
                          Val place = carried[0];
                          const WorkTile tile = tileAt(index, place);
                          Vals next{place};
                          next.append(body(tile, carried.drop_front()));
                          return next;
                        });
  last.erase(last.begin());
  return last;
}

WorkTile WorkList::firstTile() const {
  const bool isGrouped = kernel.problem.kind == LinearKind::Grouped;
  Val place = e.i32(0);
  // Past the last tile there is none in the list of groups.
  auto at = [&](Val index) {
    return tileAt(isGrouped ? e.minimum(index, tiles() - 1) : index, place);
  };
  if (kernel.layout.tile.streamed) {
    const Shares all = shares();
    Val begin = firstStep(all, share());
    return partOf(at(begin / kernel.layout.blocksOfDepth), begin, firstStep(all, share() + 1));
  }
  Val index = e.blockId() / kernel.layout.cluster;
  WorkTile tile = at(index);
  if (isGrouped)
    tile.depthEnd = e.select(index < tiles(), tile.depthEnd, tile.depthBegin);
  return tile;
}

// Streamed. The first `larger` shares have one step more than the others; those at the end may have
// none.

WorkList::Shares WorkList::shares() const {
  const WideLayout &layout = kernel.layout;
  Shares all{tiles() * layout.blocksOfDepth, Val(), Val()};
  Val even = all.steps / layout.shares;
  all.size = e.maximum(even, e.i32(layout.leastSteps));
  all.larger = e.select(even >= e.i32(layout.leastSteps), all.steps % layout.shares, e.i32(0));
  return all;
}

Val WorkList::share() const { return e.i32(kernel.layout.shares - 1) - e.blockId(); }

Val WorkList::firstStep(const Shares &all, Val share) const {
  return e.minimum(share * all.size + e.minimum(share, all.larger), all.steps);
}

/// The one that has the tile's last step.
Val WorkList::lastShareOf(const WorkTile &tile) const {
  const Shares all = shares();
  Val last = (tile.index + 1) * kernel.layout.blocksOfDepth - 1;
  Val ofLarger = all.larger * (all.size + 1);
  return e.select(last < ofLarger, last / (all.size + 1),
                  all.larger + (last - ofLarger) / all.size);
}

/// What a share has of `tile` from `step` on, if the share ends with `end`.
WorkTile WorkList::partOf(WorkTile tile, Val step, Val end) const {
  const int64_t blocks = kernel.layout.blocksOfDepth;
  tile.depthBegin = step % blocks;
  tile.depthEnd = e.minimum(tile.depthBegin + (end - step), e.i32(blocks));
  return tile;
}

Vals WorkList::forEachShared(
    llvm::ArrayRef<Val> initial,
    llvm::function_ref<Vals(const WorkTile &, llvm::ArrayRef<Val>)> body) const {
  const Shares all = shares();
  Val begin = firstStep(all, share()), end = firstStep(all, share() + 1);
  Vals withStep{begin, e.i32(0)};
  withStep.append(initial.begin(), initial.end());
  Vals last = e.whileLoop(
      withStep, [&](llvm::ArrayRef<Val> at) { return at[0] < end; },
      [&](llvm::ArrayRef<Val> at) {
        Val place = at[1];
        const WorkTile tile =
            partOf(tileAt(at[0] / kernel.layout.blocksOfDepth, place), at[0], end);
        Vals next{at[0] + (tile.depthEnd - tile.depthBegin), place};
        next.append(body(tile, at.drop_front(2)));
        return next;
      });
  last.erase(last.begin(), last.begin() + 2);
  return last;
}

/// All of K, or the block's part of it in its cluster.
WorkTile WorkList::tileOf(Val index, Val matrix, Val row, Val rowEnd, Val column) const {
  const int64_t blocks = kernel.layout.blocksOfDepth, split = kernel.layout.tile.split;
  WorkTile tile{index, matrix, row, rowEnd, column, e.i32(0), e.i32(blocks)};
  if (split > 1) {
    tile.depthBegin = kernel.rank * blocks / split;
    tile.depthEnd = (kernel.rank + 1) * blocks / split;
  }
  return tile;
}

WorkTile WorkList::tileOfColumns(Val index) const {
  const WideLayout &layout = kernel.layout;
  Val row = e.i32(0);
  if (layout.tile.multicast > 1)
    row = kernel.rank * layout.tile.rows;
  return tileOf(index, e.i32(0), row, Val(), index * layout.tile.columns);
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
  return tileOf(index, e.i32(0), row, rows, columnTile * layout.tile.columns);
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
  return tileOf(index, group.index, row, group.rowEnd, columnTile * layout.tile.columns);
}

} // namespace epigraph::cuda
