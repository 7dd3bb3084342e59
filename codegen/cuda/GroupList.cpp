#include "codegen/cuda/GroupList.h"

#include "codegen/cuda/BlockScan.h"
#include "llvm/Support/MathExtras.h"

using llvm::ArrayRef;

namespace epigraph::cuda {
namespace {

/// A group in shared memory. One more stands after the last, with the number of all tiles; a copy
/// of that number stands before the first, with how many groups the list has.
constexpr int64_t kGroupBytes = 16, kListed = 4;
enum GroupField : int64_t { kFirstTile = 0, kIndex = 4, kFirstRow = 8, kRowEnd = 12 };

/// Two numbers are summed in one scan: groups above, tiles in the bits that these leave below.
/// Even of 1,024 groups there may be four million tiles, in millions of rows.
int64_t tileBits(int64_t groups) {
  return 32 - llvm::Log2_64_Ceil(static_cast<uint64_t>(groups) + 1);
}

int64_t listBytes(int64_t groups) { return (groups + 2) * kGroupBytes; }

} // namespace

int64_t GroupList::bytes(int64_t groups) { return listBytes(groups) + 2 * kScanScratchBytes; }

Val GroupList::field(Val place, int64_t offset) const {
  return e.offset(e.at(memory, place, kGroupBytes), kGroupBytes + offset);
}

void GroupList::make(Val counts, int64_t threads) const {
  const int64_t bits = tileBits(groups), mask = (int64_t{1} << bits) - 1;
  enum : size_t { kRows, kTilesAndGroups, kScans };
  Vals sums = scanOverBlock(
      e, groups, threads, e.offset(memory, listBytes(groups)), kScans,
      [&](Val group) {
        Val rows = e.ptx({e.i32()}, "ld.relaxed.gpu.global.b32 $0, [$1];", "=r,l,~{memory}",
                         e.at(counts, group, 4))[0];
        return Vals{rows, e.ceilDiv(rows, rowTile) * tilesAcross | (e.toI32(rows > 0) << bits)};
      },
      [&](Val group, ArrayRef<Val> values, ArrayRef<Val> before) {
        e.ifThen(values[kRows] != 0, [&] {
          Val place = before[kTilesAndGroups] >> bits;
          e.store(before[kTilesAndGroups] & mask, field(place, kFirstTile));
          e.store(group, field(place, kIndex));
          e.store(before[kRows], field(place, kFirstRow));
          e.store(before[kRows] + values[kRows], field(place, kRowEnd));
        });
      });
  e.ifThen(e.threadId() == 0, [&] {
    Val tiles = sums[kTilesAndGroups] & mask, listed = sums[kTilesAndGroups] >> bits;
    e.store(tiles, memory);
    e.store(listed, e.offset(memory, kListed));
    e.store(tiles, field(listed, kFirstTile));
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

/// As many places as there are groups that end before the tile.
Val GroupList::search(Val index) const {
  Val listed = e.load(e.i32(), e.offset(memory, kListed)), place = e.i32(0);
  for (int64_t first = 0; first < groups; first += 32) {
    Val group = e.lane() + first;
    Val nextFirst = e.load(e.i32(), field(e.minimum(group, e.i32(groups - 1)) + 1, kFirstTile));
    place = place + e.popCount(e.ballot(e.logicalAnd(group < listed, nextFirst <= index)));
  }
  return place;
}

GroupList::Group GroupList::at(Val place) const {
  Vals fields = e.elements(e.load(e.vector(e.i32(), 4), field(place, 0)));
  return {fields[kFirstTile / 4], fields[kIndex / 4], fields[kFirstRow / 4], fields[kRowEnd / 4]};
}

} // namespace epigraph::cuda
