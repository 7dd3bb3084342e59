#include "codegen/cuda/WarpgroupBlock.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Instead of a unit, when there are no more.
constexpr int64_t kNoUnit = -1;

} // namespace

void WarpgroupBlock::emit(int64_t maps) {
  Val isFetcher = e.threadId() == TileRings::kMultipliers * TileRings::kWarpgroup;
  e.ifThen(isFetcher, [&] {
    rings.prepare();
    for (int64_t map = 0; map < maps; ++map)
      prefetchMap(frame.map(static_cast<size_t>(map)));
  });
  e.syncThreads();
  e.waitForPrevious();
  e.allowNext();
  e.ifElse(
      e.threadId() / TileRings::kWarpgroup == TileRings::kMultipliers,
      [&] {
        lowerRegisters(e, 56);
        e.ifThen(isFetcher, [&] { fetchUnits(); });
      },
      [&] {
        raiseRegisters(e, 224);
        multiplyUnits();
      });
}

void WarpgroupBlock::fetchUnits() {
  Val count = units(), none = e.i32(0);
  Vals last = e.whileLoop(
      {takeUnit(), none, none, none}, [&](ArrayRef<Val> carried) { return carried[0] < count; },
      [&](ArrayRef<Val> carried) {
        // Taken early, so that it is there when this unit is fetched.
        Vals next{takeUnit()};
        next.append(fetchUnit(carried[0], TileUses::unpack(carried.drop_front())).pack());
        return next;
      });
  handOver(e.i32(kNoUnit), last[1], /*bytes=*/0);
}

void WarpgroupBlock::handOver(Val unit, Val use, int64_t bytes) {
  const TileRings::Place queries = rings.queries(use);
  queries.waitUntilFree();
  e.store(unit, rings.unitSlot());
  expectBytes(queries.full, e.i32(bytes));
}

void WarpgroupBlock::multiplyUnits() {
  auto nextUnit = [&](Val use) {
    rings.queries(use).waitUntilFull();
    return e.load(e.i32(), rings.unitSlot());
  };
  tile.beginTurns();
  Val none = e.i32(0);
  e.whileLoop(
      {nextUnit(none), none, none, none},
      [&](ArrayRef<Val> carried) { return carried[0] != kNoUnit; },
      [&](ArrayRef<Val> carried) -> Vals {
        const TileUses uses = computeUnit(carried[0], TileUses::unpack(carried.drop_front()));
        return {nextUnit(uses.queries), uses.queries, uses.keys, uses.values};
      });
}

void WarpgroupBlock::fetchSteps(const TilePages &pages, const TileUses &uses, CopyPage copyKeys,
                                CopyPage copyValues) {
  e.forEach(e.i32(0), pages.steps, e.i32(1), [&](Val step) {
    Val page = pages.first + step * TileRings::kStepPages, hasSecond = page + 1 < pages.end;
    auto copy = [&](const TileRings::Place &place, int64_t pageBytes, CopyPage copyPage) {
      place.waitUntilFree();
      expectBytes(place.full, e.select(hasSecond, e.i32(2 * pageBytes), e.i32(pageBytes)));
      copyPage(page, place.address, place.full);
      e.ifThen(hasSecond, [&] {
        copyPage(page + 1, e.offset(place.address, TileRings::kPageChunk), place.full);
      });
    };
    copy(rings.keys(uses.keys + step), shape.key * 2 * kPageTokens, copyKeys);
    copy(rings.values(uses.values + step), shape.value * 2 * kPageTokens, copyValues);
  });
}

TileUses WarpgroupBlock::afterTile(const TilePages &pages, const TileUses &uses) {
  return {uses.queries + 1, uses.keys + pages.steps, uses.values + pages.steps};
}

void WarpgroupBlock::copyChunks(Val target, int64_t chunks, size_t map, Val column,
                                ArrayRef<Val> rows, Val full) {
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    Vals at{column + chunk * TileRings::kChunkColumns};
    at.append(rows.begin(), rows.end());
    copyBoxIn(e.offset(target, chunk * TileRings::kStepChunk), frame.map(map), at, full);
  }
}

} // namespace epigraph::cuda
