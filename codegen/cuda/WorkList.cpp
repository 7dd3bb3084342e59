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

WorkTile WorkList::firstTile() const { return tileOfColumns(e.blockId() / kernel.layout.cluster); }

WorkTile WorkList::tileOfColumns(Val index) const {
  const WideLayout &layout = kernel.layout;
  Val row = e.i32(0);
  if (layout.tile.multicast > 1)
    row = kernel.rank * layout.tile.rows;
  return {e.i32(0), row, Val(), index * layout.tile.columns};
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
  return {e.i32(0), row, rows, columnTile * layout.tile.columns};
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
  return {group.index, row, group.rowEnd, columnTile * layout.tile.columns};
}

} // namespace epigraph::cuda
