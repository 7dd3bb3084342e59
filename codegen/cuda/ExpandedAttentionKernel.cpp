// Causal latent attention in its expanded form, for tiles of tokens.
//
// Making keys and values of a page from its latent vectors costs as much as 6 tiles of 64 tokens
// attending to it (DeepSeek-V3's sizes), so it is done once for all tiles of a step. The launch
// goes through the heads in rounds: the pages of all contexts are expanded for the round's heads
// into the workspace, then the round's tiles attend. Blocks take both as units of work in this
// order, so that one of the next kind starts as soon as a block is free; it waits until the round
// before it is done with the workspace, or all pages are expanded. A round has as many heads as the
// second-level cache holds, and one at least: the workspace is as large as one head of the largest
// batch, or more.
#include "codegen/cuda/AttentionOperands.h"
#include "codegen/cuda/ExpandedAttention.h"
#include "codegen/cuda/FlashTile.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/LatentExpansion.h"
#include "codegen/cuda/OrderedWork.h"
#include "codegen/cuda/PagedCache.h"

#include <algorithm>

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Shared memory of a multiprocessor, and what a block takes of it beside its own.
constexpr int64_t kSharedOfCore = 228 << 10, kSharedOfBlock = 1 << 10;

LatentExpansion expansionOf(const ExpandedProblem &problem) {
  return {problem.latent, problem.latent + problem.ropeSize, problem.columns()};
}

/// Shared memory of a unit; the block's slot for the next one follows.
int64_t unitBytes(const ExpandedProblem &problem) {
  return std::max(FlashTile::sharedBytes(problem.nope + problem.ropeSize, problem.value),
                  expansionOf(problem).sharedBytes());
}
int64_t sharedBytes(const ExpandedProblem &problem) { return unitBytes(problem) + 16; }

/// The launch by products of warps; every block takes its share of each phase.
class ExpandedBlock {
public:
  ExpandedBlock(KernelFrame &frame, const ExpandedProblem &problem)
      : frame(frame), e(frame.e), problem(problem), expansion(expansionOf(problem)),
        warp{e, problem.nope + problem.ropeSize, problem.value, kPageTokens, problem.scale} {}

  void emit() {
    const ExpandedRounds rounds = readRounds();
    Val slot = e.offset(e.sharedMemory(), unitBytes(problem));
    forOrderedUnits(e, rounds.units(), rounds.nextUnit(), slot, [&](Val unit) { emitUnit(unit); });
  }

private:
  using Unit = ExpandedRounds::Unit;

  ExpandedRounds readRounds() {
    ExpandedRounds rounds(frame, problem);
    rounds.read([&](Val pages) { return pages * expansion.tiles(); });
    return rounds;
  }

  void emitUnit(Val index) {
    const ExpandedRounds rounds = readRounds();
    const Unit unit = rounds.unit(index);
    e.ifThen(unit.exists, [&] {
      rounds.beforeUnit(unit, /*ofUnit=*/1,
                        [&](Val counter, Val count) { waitForCount(e, counter, count); });
      e.ifElse(unit.isExpansion, [&] { expand(rounds, unit); }, [&] { attend(rounds, unit); });
      Val expansions = rounds.counter(unit.round.index, ExpandedRounds::kExpansions);
      Val tiles = rounds.counter(unit.round.index, ExpandedRounds::kTiles);
      countDone(e, e.select(unit.isExpansion, expansions, tiles));
    });
  }

  void expand(const ExpandedRounds &rounds, const Unit &unit) {
    Val page = unit.index / expansion.tiles(), tile = unit.index % expansion.tiles();
    Val up = e.at(frame.rowAddress(problem.up, e.i32(0)), unit.round.first + unit.head,
                  problem.columns() * problem.latent * 2);
    expansion.emit(e, rounds.entries(page), up, tile, e.at(unit.slots, page, problem.pageBytes()));
  }

  void attend(const ExpandedRounds &rounds, const Unit &unit) {
    Val index = rounds.tileOf(unit);
    ItemValues item = loadItem(frame, kTileItems, index);
    Val head = unit.round.first + unit.head;
    FlashTile tile(warp, /*window=*/std::nullopt);
    auto loadQuery = [&](const TensorView &view, int64_t column) {
      copyRows(e, tile.threads(), rowsOfHead(frame, view, item.token, head, kAttentionTile),
               e.offset(tile.queries(), column * 2), warp.keyStride(), item.tokens);
    };
    loadQuery(problem.q, 0);
    loadQuery(problem.rope, problem.nope);
    Val firstPage = e.load(e.i32(), problem.pages.firstPage(frame, index));
    tile.attend(item, /*sink=*/Val(), [&](Val page, Val tokens, Val keys, Val values) {
      Val own = e.at(unit.slots, firstPage + page, problem.pageBytes());
      loadPage(tile, own, rounds.entries(firstPage + page), tokens, keys, values);
    });
    tile.forResult(item, [&](Val row, Val column, Val first, Val second) {
      const int64_t bytes = problem.resultType.getIntOrFloatBitWidth() / 8;
      Val to = e.at(frame.resultRow(problem.result, item.token + row),
                    head * problem.value + column, bytes);
      e.store(e.fromF32(e.pack({first, second}), problem.resultType), to, 2 * bytes);
    });
  }

  /// Keys come in two parts: the head's own, and the rotated one that all heads share.
  void loadPage(const FlashTile &tile, Val own, Val entries, Val tokens, Val keys, Val values) {
    auto copy = [&](Val from, int64_t columns, int64_t stride, Val to, int64_t toStride) {
      copyRows(e, tile.threads(), {from, kPageTokens, columns * 2, stride}, to, toStride, tokens);
    };
    copy(own, problem.nope, problem.columns() * 2, keys, warp.keyStride());
    copy(e.offset(entries, problem.latent * 2), problem.ropeSize, problem.entryBytes(),
         e.offset(keys, problem.nope * 2), warp.keyStride());
    copy(e.offset(own, problem.nope * 2), problem.value, problem.columns() * 2, values,
         warp.valueStride());
  }

  KernelFrame &frame;
  Emitter &e;
  const ExpandedProblem &problem;
  const LatentExpansion expansion;
  WarpAttention warp;
};

/// The view of `up`, whose rows must follow one another, or a diagnostic.
FailureOr<TensorView> upView(KernelAssembly &assembly, epi::MlaAttentionOp op) {
  FailureOr<TensorView> view = assembly.view(op, op.getUp(), "up");
  if (failed(view))
    return failure();
  if (!view->elementType.isBF16() || !view->isContiguous())
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName()
           << " needs an 'up' of bf16 whose rows follow one another, got " << op.getUp().getType();
  return view;
}

FailureOr<ExpandedProblem> readProblem(KernelAssembly &assembly, epi::MlaAttentionOp op) {
  FailureOr<TensorView> q = queryView(assembly, op, op.getQ(), "q");
  FailureOr<TensorView> rope = queryView(assembly, op, op.getQRope(), "q_rope");
  FailureOr<TensorView> up = upView(assembly, op);
  FailureOr<BlockArgument> cache = cacheArgument(assembly, op, op.getCache());
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(q) || failed(rope) || failed(up) || failed(cache) || failed(result))
    return failure();
  FailureOr<ContextPages> pages =
      ContextPages::ofLimits(assembly, op, expandedCounters(q->shape[0]));
  if (failed(pages))
    return failure();
  auto type = cast<epi::MlaCacheType>(cache->getType());
  auto resultType = cast<RankedTensorType>(op.getType());
  const int64_t nope = q->shape[1], value = resultType.getDimSize(2);
  if (failed(checkHeadSize(assembly, op, "nope", nope, 256)) ||
      failed(checkHeadSize(assembly, op, "rope", type.getRope(), 256)) ||
      failed(checkHeadSize(assembly, op, "nope + rope", nope + type.getRope(), 256)) ||
      failed(checkHeadSize(assembly, op, "value", value, 256)) ||
      failed(checkHeadSize(assembly, op, "latent", type.getLatent(), 4096)))
    return failure();
  return ExpandedProblem{*q,
                         *rope,
                         *up,
                         *cache,
                         *result,
                         resultType.getElementType(),
                         q->shape[0],
                         nope,
                         type.getRope(),
                         value,
                         type.getLatent(),
                         op.getScale().convertToDouble(),
                         *pages};
}

void addWarpExpandedAttention(KernelAssembly &assembly, const ExpandedProblem &problem) {
  static_assert(FlashTile::kThreads == LatentExpansion::kThreads);
  FunctionSpec spec;
  spec.threads = FlashTile::kThreads;
  spec.grid = DeviceGrid::TileItems;
  spec.columnTiles = problem.heads;
  spec.sharedBytes = sharedBytes(problem);
  spec.blocksOfCore = 2 * (spec.sharedBytes + kSharedOfBlock) <= kSharedOfCore ? 2 : 1;
  spec.persistent = spec.blocksOfCore;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    frame.e.waitForPrevious();
    frame.e.allowNext();
    ExpandedBlock(frame, problem).emit();
  });
}

} // namespace

LogicalResult buildExpandedAttention(KernelAssembly &assembly, epi::MlaAttentionOp op) {
  FailureOr<ExpandedProblem> problem = readProblem(assembly, op);
  if (failed(problem))
    return failure();
  assembly.needWorkspace(problem->workspaceBytes());
  assembly.beginVariant();
  problem->pages.addLaunch(assembly);
  if (fitsWarpgroups(*problem))
    addWarpgroupExpandedAttention(assembly, *problem);
  else
    addWarpExpandedAttention(assembly, *problem);
  return success();
}

} // namespace epigraph::cuda
