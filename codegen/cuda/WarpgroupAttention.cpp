// Attention of tiles of tokens by products of warpgroups: a unit of work is a tile and a query
// head. Heads that share keys and values are neighbours, so that these are read from the
// second-level cache; the last tiles of a sequence have the longest contexts, so they come first.
#include "codegen/cuda/AttentionOperands.h"
#include "codegen/cuda/GroupedQueries.h"
#include "codegen/cuda/OrderedWork.h"
#include "codegen/cuda/PagedCache.h"
#include "codegen/cuda/WarpgroupBlock.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Tensor maps, in the order of the function's parameters.
enum Map { kQueryMap, kCacheMap, kMaps };

TileShape shapeOf(const GroupedQueries &problem) {
  return {problem.key, problem.value, problem.scale, problem.window};
}

class AttentionBlock : public WarpgroupBlock {
public:
  AttentionBlock(KernelFrame &frame, const GroupedQueries &problem)
      : WarpgroupBlock(frame, shapeOf(problem)), problem(problem) {}

protected:
  Val units() override { return itemCount(frame, kTileItems) * problem.heads; }
  Val takeUnit() override { return takeTicket(e, frame.counters(), units()); }

  TileUses fetchUnit(Val unit, const TileUses &uses) override {
    const ItemValues item = itemOf(unit);
    const TilePages pages = TilePages::of(e, item, problem.window);
    Val head = unit % problem.heads, keyHead = head / problem.headsOfKey();
    handOver(unit, uses.queries, kAttentionTile * problem.key * 2);
    const TileRings::Place queries = rings.queries(uses.queries);
    copyChunks(queries.address, problem.key / TileRings::kChunkColumns, kQueryMap,
               e.i32(problem.q.offset), {head, item.token}, queries.full);
    Val table = pageTableOf(frame, item.sequence);
    auto copy = [&](Val page, Val column, int64_t size, Val target, Val full) {
      copyChunks(target, size / TileRings::kChunkColumns, kCacheMap, column,
                 {physicalPage(e, table, page) * kPageTokens}, full);
    };
    fetchSteps(
        pages, uses,
        [&](Val page, Val target, Val full) {
          copy(page, keyHead * problem.key, problem.key, target, full);
        },
        [&](Val page, Val target, Val full) {
          Val column = keyHead * problem.value + problem.keyHeads * problem.key;
          copy(page, column, problem.value, target, full);
        });
    return afterTile(pages, uses);
  }

  TileUses computeUnit(Val unit, const TileUses &uses) override {
    const ItemValues item = itemOf(unit);
    const TilePages pages = TilePages::of(e, item, problem.window);
    Val head = unit % problem.heads;
    tile.attend(item, pages, uses, problem.sink(frame, head));
    tile.store(item, [&](Val row) {
      return e.at(frame.resultRow(problem.result, item.token + row), head, problem.value * 2);
    });
    return afterTile(pages, uses);
  }

private:
  ItemValues itemOf(Val unit) {
    return loadItem(frame, kTileItems, itemCount(frame, kTileItems) - 1 - unit / problem.heads);
  }

  const GroupedQueries &problem;
};

} // namespace

bool fitsWarpgroups(const GroupedQueries &problem) {
  return TileRings::fits(shapeOf(problem)) && isMappable(problem.q) && problem.resultType.isBF16();
}

void addWarpgroupAttention(KernelAssembly &assembly, const GroupedQueries &problem) {
  static_assert(TileRings::kStep == kAttentionTile);
  FunctionSpec spec;
  spec.suffix = "tiles";
  spec.threads = TileRings::kThreads;
  spec.grid = DeviceGrid::TileItems;
  spec.columnTiles = problem.heads;
  spec.persistent = 1;
  spec.sharedBytes = TileRings::sharedBytes(shapeOf(problem));
  spec.maps = {queryMap(assembly, problem.q, /*heads=*/1, /*rows=*/kAttentionTile),
               cacheMap(assembly, problem.cache, problem.entryBytes() / 2)};
  assembly.needWorkspace(0);
  assembly.addFunction(spec,
                       [&](KernelFrame &frame) { AttentionBlock(frame, problem).emit(kMaps); });
}

} // namespace epigraph::cuda
