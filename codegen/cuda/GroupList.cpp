#include "codegen/cuda/GroupList.h"

#include "codegen/cuda/BlockScan.h"

namespace epigraph::cuda {
namespace {

/// A group in shared memory. One more stands after the last, with the number of all tiles; a copy
/// of that number stands before the first.
constexpr int64_t kGroupBytes = 16;
enum GroupField : int64_t { kFirstTile = 0, kIndex = 4, kFirstRow = 8, kRowEnd = 12 };

/// Two numbers that are summed in one scan: groups above, tiles below.
constexpr int64_t kTileBits = 22;
constexpr int64_t kTileMask = (1 << kTileBits) - 1;

int64_t listBytes(int64_t groups) { return (groups + 2) * kGroupBytes; }

} // namespace

int64_t GroupList::bytes(int64_t groups) { return listBytes(groups) + kScanScratchBytes; }

Val GroupList::field(Val place, int64_t offset) const {
  return e.offset(e.at(memory, place, kGroupBytes), kGroupBytes + offset);
}

void GroupList::make(Val counts, int64_t threads) const {
  Val scratch = e.offset(memory, listBytes(groups));
  auto countOf = [&](Val group) { return e.load(e.i32(), e.at(counts, group, 4)); };
  // A thread sees to the same groups in both scans, and needs no barrier for what it remembers.
  llvm::SmallVector<std::pair<Val, Val>> rowsOf;
  scanOverBlock(e, groups, threads, scratch, countOf,
                [&](Val, Val count, Val before) { rowsOf.push_back({before, count}); });
  e.syncThreads();
  size_t round = 0;
  Val sums = scanOverBlock(
      e, groups, threads, scratch,
      [&](Val group) {
        Val count = countOf(group);
        return e.ceilDiv(count, rowTile) * tilesAcross | (e.toI32(count > 0) << kTileBits);
      },
      [&](Val group, Val value, Val before) {
        auto [first, count] = rowsOf[round++];
        e.ifThen(value != 0, [&] {
          Val place = before >> kTileBits;
          e.store(before & kTileMask, field(place, kFirstTile));
          e.store(group, field(place, kIndex));
          e.store(first, field(place, kFirstRow));
          e.store(first + count, field(place, kRowEnd));
        });
      });
  e.ifThen(e.threadId() == 0, [&] {
    e.store(sums & kTileMask, memory);
    e.store(sums & kTileMask, field(sums >> kTileBits, kFirstTile));
  });
}

Val GroupList::tiles() const { return e.load(e.i32(), memory); }

Val GroupList::find(Val index, Val from) const {
  auto isLater = [&](llvm::ArrayRef<Val> place) {
    return index >= e.load(e.i32(), field(place[0] + 1, kFirstTile));
  };
  return e.whileLoop(from, isLater,
                     [&](llvm::ArrayRef<Val> place) { return Vals{place[0] + 1}; })[0];
}

GroupList::Group GroupList::at(Val place) const {
  Vals fields = e.elements(e.load(e.vector(e.i32(), 4), field(place, 0)));
  return {fields[kFirstTile / 4], fields[kIndex / 4], fields[kFirstRow / 4], fields[kRowEnd / 4]};
}

} // namespace epigraph::cuda
