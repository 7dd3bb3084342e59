#include "codegen/cuda/WorkList.h"

#include "codegen/cuda/BlockScan.h"

namespace epigraph::cuda {
namespace {

/// Tiles of a band, along the rows.
constexpr int64_t kBandTiles = 8;

/// A group in shared memory: 16 bytes. The number of tiles in all stands before the first.
constexpr int64_t kGroupBytes = 16;
enum GroupField : int64_t { kFirstTile = 0, kMatrix = 4, kFirstRow = 8, kRowEnd = 12 };

/// Two counts that are summed in one scan: groups above, tiles below.
constexpr int64_t kTileBits = 22;

} // namespace

WorkList::WorkList(const WideKernel &kernel)
    : kernel(kernel), e(kernel.e()),
      bandRows(kernel.layout.tile.rows * kernel.layout.tile.multicast), rows(kernel.frame.rows()),
      rowTiles(e.ceilDiv(rows, bandRows)) {
  if (kernel.problem.kind == LinearKind::Grouped)
    listGroups();
}

Val WorkList::groupField(Val group, int64_t field) const {
  Val list = e.offset(kernel.shared, kernel.layout.listAt + kGroupBytes);
  return e.offset(e.at(list, group, kGroupBytes), field);
}

void WorkList::listGroups() {
  const WideLayout &layout = kernel.layout;
  const int64_t groups = kernel.problem.matrices;
  Val counts = kernel.frame.rowAddress(*kernel.problem.counts, e.i32(0));
  Val scratch = e.offset(kernel.shared, layout.scratchAt);
  auto countOf = [&](Val group) { return e.load(e.i32(), e.at(counts, group, 4)); };
  // A thread sees to the same groups in both scans, and needs no barrier for what it remembers.
  llvm::SmallVector<std::pair<Val, Val>> rowsOf;
  scanOverBlock(e, groups, layout.threads(), scratch, countOf,
                [&](Val, Val count, Val before) { rowsOf.push_back({before, count}); });
  e.syncThreads();
  size_t round = 0;
  Val sums = scanOverBlock(
      e, groups, layout.threads(), scratch,
      [&](Val group) {
        Val count = countOf(group);
        Val tiles = e.ceilDiv(count, bandRows) * layout.columnTiles;
        return tiles | (e.toI32(count > 0) << kTileBits);
      },
      [&](Val group, Val value, Val before) {
        auto [first, count] = rowsOf[round++];
        e.ifThen(value != 0, [&] {
          Val place = before >> kTileBits;
          e.store(before & ((1 << kTileBits) - 1), groupField(place, kFirstTile));
          e.store(group, groupField(place, kMatrix));
          e.store(first, groupField(place, kFirstRow));
          e.store(first + count, groupField(place, kRowEnd));
        });
      });
  e.ifThen(e.threadId() == 0, [&] {
    Val tiles = sums & ((1 << kTileBits) - 1);
    e.store(tiles, e.offset(kernel.shared, layout.listAt));
    e.store(tiles, groupField(sums >> kTileBits, kFirstTile));
  });
}

Vals WorkList::forEachTile(
    llvm::ArrayRef<Val> initial,
    llvm::function_ref<Vals(const WorkTile &, llvm::ArrayRef<Val>)> body) const {
  const WideLayout &layout = kernel.layout;
  const int64_t cluster = layout.cluster;
  Val first = e.blockId() / cluster, step = e.blockCount() / cluster;
  if (kernel.problem.kind != LinearKind::Grouped)
    return e.forLoop(
        first, rowTiles * layout.columnTiles, step, initial,
        [&](Val index, llvm::ArrayRef<Val> carried) { return body(tileOfMatrix(index), carried); });
  Vals withGroup{e.i32(0)};
  withGroup.append(initial.begin(), initial.end());
  Val tiles = e.load(e.i32(), e.offset(kernel.shared, layout.listAt));
  Vals last = e.forLoop(first, tiles, step, withGroup, [&](Val index, llvm::ArrayRef<Val> carried) {
    Vals next{nextGroup(index, carried[0])};
    next.append(body(tileOfGroup(index, next[0]), carried.drop_front()));
    return next;
  });
  last.erase(last.begin());
  return last;
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

/// The group that tile `index` is in, at or after `group`: a block meets its tiles in order.
Val WorkList::nextGroup(Val index, Val group) const {
  auto isLater = [&](llvm::ArrayRef<Val> at) {
    return index >= e.load(e.i32(), groupField(at[0] + 1, kFirstTile));
  };
  return e.whileLoop(group, isLater, [&](llvm::ArrayRef<Val> at) { return Vals{at[0] + 1}; })[0];
}

WorkTile WorkList::tileOfGroup(Val index, Val group) const {
  const WideLayout &layout = kernel.layout;
  Val fields = e.load(e.vector(e.i32(), 4), groupField(group, 0));
  Val firstRow = e.element(fields, 2), rowEnd = e.element(fields, 3);
  Val inGroup = index - e.element(fields, 0);
  Val height = e.ceilDiv(rowEnd - firstRow, bandRows);
  Val columnTile = inGroup / height;
  Val row = firstRow + (inGroup - columnTile * height) * bandRows;
  if (layout.tile.multicast > 1)
    row = row + kernel.rank * layout.tile.rows;
  return {e.element(fields, 1), row, rowEnd, columnTile * layout.tile.columns};
}

} // namespace epigraph::cuda
