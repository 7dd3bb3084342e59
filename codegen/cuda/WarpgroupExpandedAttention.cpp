// Latent attention in its expanded form by products of warpgroups (ExpandedAttention.h has the
// order of the work). To expand, each of the two warpgroups that multiply takes a page: its 64
// latent vectors by all columns of a head, in steps along the latent vector that pass through the
// ring of the keys. Results lie in the workspace as a tile's steps want them in shared memory, in
// chunks, swizzled; so copies without a map bring them there.
#include "codegen/cuda/AttentionOperands.h"
#include "codegen/cuda/BulkCopies.h"
#include "codegen/cuda/ExpandedAttention.h"
#include "codegen/cuda/FragmentRows.h"
#include "codegen/cuda/OrderedWork.h"
#include "codegen/cuda/WarpgroupBlock.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

using Rings = TileRings;

/// Tensor maps, in the order of the function's parameters.
enum Map { kQueryMap, kRopeMap, kCacheMap, kUpMap, kMaps };

/// Each warpgroup that multiplies counts a unit when it is done.
constexpr int64_t kCountsOfUnit = Rings::kMultipliers;
/// Where a step along the latent vector has the rows of `up`: after the latent vectors.
constexpr int64_t kUpOfStep = Rings::kStepChunk;
/// Of the block's threads (Emitter::meet): of each warpgroup by itself.
constexpr int64_t kOfWarpgroup = 4;

TileShape shapeOf(const ExpandedProblem &problem) {
  return {problem.nope + problem.ropeSize, problem.value, problem.scale, /*window=*/std::nullopt};
}

class ExpandedWarpgroupBlock : public WarpgroupBlock {
public:
  ExpandedWarpgroupBlock(KernelFrame &frame, const ExpandedProblem &problem)
      : WarpgroupBlock(frame, shapeOf(problem)), problem(problem), warpgroup(e.warp() / 4) {}

protected:
  Val units() override { return readRounds().units(); }
  Val takeUnit() override { return e.atomicAdd(problem.pages.counter(frame, e.i32(0)), e.i32(1)); }

  TileUses fetchUnit(Val index, const TileUses &uses) override {
    const ExpandedRounds rounds = readRounds();
    const Unit unit = rounds.unit(index);
    return TileUses::unpack(e.ifValues(
        unit.exists,
        [&] {
          return e.ifValues(
              unit.isExpansion, [&] { return fetchExpansion(rounds, index, unit, uses).pack(); },
              [&] { return fetchTile(rounds, index, unit, uses).pack(); });
        },
        [&] { return uses.pack(); }));
  }

  TileUses computeUnit(Val index, const TileUses &uses) override {
    const ExpandedRounds rounds = readRounds();
    const Unit unit = rounds.unit(index);
    return TileUses::unpack(e.ifValues(
        unit.isExpansion, [&] { return expand(rounds, unit, uses).pack(); },
        [&] { return attend(rounds, unit, uses).pack(); }));
  }

private:
  using Unit = ExpandedRounds::Unit;

  ExpandedRounds readRounds() {
    ExpandedRounds rounds(frame, problem);
    rounds.read([&](Val pages) { return e.ceilDiv(pages, Rings::kMultipliers); });
    return rounds;
  }
  Val slotOf(const Unit &unit, Val page) { return e.at(unit.slots, page, problem.pageBytes()); }

  int64_t keyChunks() const { return problem.nope / Rings::kChunkColumns; }
  int64_t valueChunks() const { return problem.value / Rings::kChunkColumns; }
  int64_t steps() const { return problem.latent / Rings::kChunkColumns; }

  /// The first of the pages that a unit expands.
  Val firstPage(const Unit &unit) { return unit.index * Rings::kMultipliers; }
  /// Until what the unit reads or writes in the workspace may be.
  void waitForOthers(const ExpandedRounds &rounds, const Unit &unit) {
    rounds.beforeUnit(unit, kCountsOfUnit,
                      [&](Val counter, Val count) { waitForCountAlone(e, counter, count); });
  }
  TileUses afterExpansion(const TileUses &uses) {
    return {uses.queries + 1, uses.keys + steps(), uses.values};
  }

  TileUses fetchExpansion(const ExpandedRounds &rounds, Val index, const Unit &unit,
                          const TileUses &uses) {
    waitForOthers(rounds, unit);
    handOver(index, uses.queries, /*bytes=*/0);
    Val page = firstPage(unit), hasSecond = page + 1 < rounds.pages();
    Val first = rounds.physicalPage(page) * kPageTokens;
    Val second = rounds.physicalPage(e.minimum(page + 1, rounds.pages() - 1)) * kPageTokens;
    const int64_t upBytes = problem.columns() * Rings::kLine;
    Val bytes = e.select(hasSecond, e.i32(2 * Rings::kPageChunk + upBytes),
                         e.i32(Rings::kPageChunk + upBytes));
    Val upRow =
        (unit.round.first + unit.head) * problem.columns() + problem.up.offset / problem.latent;
    e.forEach(e.i32(0), e.i32(steps()), e.i32(1), [&](Val step) {
      const Rings::Place place = rings.keys(uses.keys + step);
      Val column = step * Rings::kChunkColumns;
      place.waitUntilFree();
      expectBytes(place.full, bytes);
      copyBoxIn(place.address, frame.map(kCacheMap), {column, first}, place.full);
      e.ifThen(hasSecond, [&] {
        copyBoxIn(e.offset(place.address, Rings::kPageChunk), frame.map(kCacheMap),
                  {column, second}, place.full);
      });
      copyBoxIn(e.offset(place.address, kUpOfStep), frame.map(kUpMap), {column, upRow}, place.full);
    });
    return afterExpansion(uses);
  }

  TileUses expand(const ExpandedRounds &rounds, const Unit &unit, const TileUses &uses) {
    e.syncWarp(); // All lanes have read the unit.
    rings.queries(uses.queries).release();
    Accumulator sums = undefinedAccumulator(e, problem.columns());
    for (int64_t step = 0; step < steps(); ++step) {
      const Rings::Place place = rings.keys(uses.keys + step);
      place.waitUntilFull();
      Val address = e.sharedAddress(place.address);
      Val left = descriptor(address + warpgroup * Rings::kPageChunk);
      Val right = descriptor(address + kUpOfStep);
      fenceProducts(e);
      for (int64_t k = 0; k < Rings::kChunkColumns / 16; ++k)
        multiply(sums, left + 2 * k, right + 2 * k, MatrixType::BF16, step + k != 0);
      commitProducts(e);
      if (step > 0) {
        waitForProducts(e, 1);
        rings.keys(uses.keys + (step - 1)).release();
      }
    }
    waitForProducts(e, 0);
    pin(sums);
    rings.keys(uses.keys + (steps() - 1)).release();
    Val page = firstPage(unit) + warpgroup;
    storeExpanded(sums.registers, slotOf(unit, page), page < rounds.pages());
    fenceAsyncGlobal(e);
    countDone(rounds.counter(unit.round.index, ExpandedRounds::kExpansions));
    return afterExpansion(uses);
  }

  void storeExpanded(ArrayRef<Val> sums, Val slot, Val exists) {
    constexpr int64_t kPieces = Rings::kLine / 16;
    Val row = e.warp() % 4 * 16 + e.lane() / 4;
    forRowPieces(sums, [&](size_t half, Val piece, Val words) {
      Val token = row + static_cast<int64_t>(half) * 8;
      Val at = e.at(slot, piece / kPieces, Rings::kPageChunk);
      Val place = token * kPieces + (piece % kPieces ^ (token & 7));
      e.ifThen(exists, [&] { e.store(words, e.at(at, place, 16)); });
    });
  }

  /// When the whole warpgroup is.
  void countDone(Val counter) {
    e.meet(warpgroup + kOfWarpgroup, Rings::kWarpgroup);
    e.ifThen(e.threadId() % Rings::kWarpgroup == 0, [&] {
      e.threadFence();
      e.addRelease(e.i32(1), counter);
    });
  }

  TileUses fetchTile(const ExpandedRounds &rounds, Val index, const Unit &unit,
                     const TileUses &uses) {
    Val tile = rounds.tileOf(unit), head = unit.round.first + unit.head;
    const ItemValues item = loadItem(frame, kTileItems, tile);
    const TilePages pages = TilePages::of(e, item, /*window=*/std::nullopt);
    handOver(index, uses.queries, kAttentionTile * shape.key * 2);
    const Rings::Place queries = rings.queries(uses.queries);
    copyChunks(queries.address, keyChunks(), kQueryMap, e.i32(problem.q.offset), {head, item.token},
               queries.full);
    copyChunks(e.offset(queries.address, keyChunks() * Rings::kStepChunk),
               problem.ropeSize / Rings::kChunkColumns, kRopeMap, e.i32(problem.rope.offset),
               {head, item.token}, queries.full);
    waitForOthers(rounds, unit);
    fenceAsyncGlobal(e);
    Val firstPage = e.load(e.i32(), problem.pages.firstPage(frame, tile));
    fetchSteps(
        pages, uses,
        [&](Val page, Val target, Val full) {
          copySlot(slotOf(unit, firstPage + page), keyChunks(), target, full);
          copyChunks(e.offset(target, keyChunks() * Rings::kStepChunk),
                     problem.ropeSize / Rings::kChunkColumns, kCacheMap, e.i32(problem.latent),
                     {rounds.physicalPage(firstPage + page) * kPageTokens}, full);
        },
        [&](Val page, Val target, Val full) {
          Val slot = slotOf(unit, firstPage + page);
          copySlot(e.offset(slot, keyChunks() * Rings::kPageChunk), valueChunks(), target, full);
        });
    return afterTile(pages, uses);
  }

  void copySlot(Val slot, int64_t chunks, Val target, Val full) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
      copyBytesIn(e.offset(target, chunk * Rings::kStepChunk),
                  e.offset(slot, chunk * Rings::kPageChunk), e.i32(Rings::kPageChunk), full);
  }

  TileUses attend(const ExpandedRounds &rounds, const Unit &unit, const TileUses &uses) {
    const ItemValues item = loadItem(frame, kTileItems, rounds.tileOf(unit));
    const TilePages pages = TilePages::of(e, item, /*window=*/std::nullopt);
    Val head = unit.round.first + unit.head;
    tile.attend(item, pages, uses, /*sink=*/Val());
    countDone(rounds.counter(unit.round.index,
                             ExpandedRounds::kTiles)); // Everything is in shared memory, or was.
    tile.store(item, [&](Val row) {
      return e.at(frame.resultRow(problem.result, item.token + row), head, problem.value * 2);
    });
    return afterTile(pages, uses);
  }

  const ExpandedProblem &problem;
  Val warpgroup;
};

TensorMapSpec upMap(KernelAssembly &assembly, const ExpandedProblem &problem) {
  TensorMapSpec map;
  map.operand = assembly.operandIndex(problem.up.argument);
  const int64_t rows = problem.up.offset / problem.latent + problem.heads * problem.columns();
  map.sizes = {static_cast<uint64_t>(problem.latent), static_cast<uint64_t>(rows)};
  map.strides = {static_cast<uint64_t>(problem.latent * 2)};
  map.box = {Rings::kChunkColumns, static_cast<uint32_t>(problem.columns())};
  map.swizzleBytes = 128;
  return map;
}

} // namespace

bool fitsWarpgroups(const ExpandedProblem &problem) {
  const TileShape shape = shapeOf(problem);
  return Rings::fits(shape) && problem.resultType.isBF16() && isMappable(problem.q) &&
         isMappable(problem.rope) && problem.up.offset % problem.latent == 0 &&
         problem.nope % Rings::kChunkColumns == 0 && problem.latent % Rings::kChunkColumns == 0 &&
         problem.columns() <= 256 &&
         kUpOfStep + problem.columns() * Rings::kLine <= Rings::keyBytes(shape);
}

void addWarpgroupExpandedAttention(KernelAssembly &assembly, const ExpandedProblem &problem) {
  FunctionSpec spec;
  spec.threads = Rings::kThreads;
  spec.grid = DeviceGrid::TileItems;
  spec.columnTiles = problem.heads;
  spec.persistent = 1;
  spec.sharedBytes = Rings::sharedBytes(shapeOf(problem));
  spec.maps = {queryMap(assembly, problem.q, /*heads=*/1, /*rows=*/kAttentionTile),
               queryMap(assembly, problem.rope, /*heads=*/1, /*rows=*/kAttentionTile),
               cacheMap(assembly, problem.cache, problem.latent + problem.ropeSize),
               upMap(assembly, problem)};
  assembly.addFunction(
      spec, [&](KernelFrame &frame) { ExpandedWarpgroupBlock(frame, problem).emit(kMaps); });
}

} // namespace epigraph::cuda
