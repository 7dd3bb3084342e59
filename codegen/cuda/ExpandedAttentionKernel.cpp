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
#include "codegen/cuda/ContextPages.h"
#include "codegen/cuda/FlashTile.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/LatentExpansion.h"
#include "codegen/cuda/OrderedWork.h"
#include "codegen/cuda/PagedCache.h"

#include <algorithm>

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Of keys and values of a round, unless those of one head are more: they are to stay in the
/// second-level cache until they have been read.
constexpr int64_t kRoundBytes = 48 << 20;

/// Shared memory of a multiprocessor, and what a block takes of it beside its own.
constexpr int64_t kSharedOfCore = 228 << 10, kSharedOfBlock = 1 << 10;

struct ExpandedProblem {
  TensorView q, rope, up;
  BlockArgument cache;
  unsigned result;
  Type resultType;
  int64_t heads, nope, ropeSize, value, latent; ///< sizes in elements
  double scale;
  ContextPages pages;

  int64_t entryBytes() const { return (latent + ropeSize) * 2; }
  int64_t columns() const { return nope + value; }
  LatentExpansion expansion() const { return {latent, latent + ropeSize, columns()}; }
  /// Of one head's keys and values of a page in the workspace.
  int64_t pageBytes() const { return kPageTokens * columns() * 2; }
  /// How many of these the workspace has room for.
  int64_t slots() const {
    return std::max(pages.mostPages(),
                    std::min(pages.mostPages() * heads, kRoundBytes / pageBytes()));
  }
  /// Shared memory of a unit; the block's slot for the next one follows.
  int64_t unitBytes() const {
    return std::max(FlashTile::sharedBytes(nope + ropeSize, value), expansion().sharedBytes());
  }
  int64_t sharedBytes() const { return unitBytes() + 16; }
};

/// Counters of the launch: the next unit, then of each round the units of both kinds that are done.
/// A round has one head at least.
int64_t countersFor(int64_t heads) { return 1 + 2 * heads; }

/// The heads [first, first + count) whose keys and values are in the workspace.
struct Round {
  Val index, first, count;
};

/// The launch's work; every block takes its share of each phase.
class ExpandedBlock {
public:
  ExpandedBlock(KernelFrame &frame, const ExpandedProblem &problem)
      : frame(frame), e(frame.e), problem(problem),
        warp{e, problem.nope + problem.ropeSize, problem.value, kPageTokens, problem.scale} {}

  void emit() {
    pageCount = e.load(e.i32(), problem.pages.count(frame));
    items = itemCount(frame, kTileItems);
    const int64_t slots = std::min(problem.slots(), kRoundBytes / problem.pageBytes());
    Val fitting = e.i32(slots) / e.maximum(pageCount, e.i32(1));
    headsOfRound = e.minimum(e.maximum(fitting, e.i32(1)), e.i32(problem.heads));
    unitsOfHead = pageCount * problem.expansion().tiles() + items;
    Val slot = e.offset(e.sharedMemory(), problem.unitBytes());
    forOrderedUnits(e, unitsOfHead * problem.heads, problem.pages.counter(frame, e.i32(0)), slot,
                    [&](Val unit) { emitUnit(unit); });
  }

private:
  /// Keys and values of the list's page `page` and the round's head `head`.
  Val slot(const Round &round, Val page, Val head) {
    Val start = e.offset(frame.workspace(), problem.pages.bytes());
    return e.at(start, page * round.count + head, problem.pageBytes());
  }

  void emitUnit(Val unit) {
    Val unitsOfRound = unitsOfHead * headsOfRound, index = unit / unitsOfRound;
    Val first = index * headsOfRound;
    const Round round{index, first, e.minimum(headsOfRound, e.i32(problem.heads) - first)};
    Val place = unit % unitsOfRound;
    Val expansions = pageCount * round.count * problem.expansion().tiles();
    e.ifElse(
        place < expansions,
        [&] {
          e.ifThen(index > 0,
                   [&] { waitForCount(e, doneCounter(index - 1, 1), items * headsOfRound); });
          expand(round, place);
          countDone(e, doneCounter(index, 0));
        },
        [&] {
          waitForCount(e, doneCounter(index, 0), expansions);
          attend(round, place - expansions);
          countDone(e, doneCounter(index, 1));
        });
  }

  /// Of a round's units that expand (`kind` 0) or attend (1).
  Val doneCounter(Val round, int64_t kind) {
    return problem.pages.counter(frame, round * 2 + (1 + kind));
  }

  /// Neighbouring units are heads of one page.
  void expand(const Round &round, Val unit) {
    const LatentExpansion expansion = problem.expansion();
    Val unitsOfPage = round.count * expansion.tiles();
    Val page = unit / unitsOfPage, rest = unit % unitsOfPage;
    Val head = rest / expansion.tiles(), tile = rest % expansion.tiles();
    Val physical = e.load(e.i32(), problem.pages.physicalPage(frame, page));
    Val entries = e.at(frame.address(problem.cache), physical, kPageTokens * problem.entryBytes());
    Val up = e.at(frame.rowAddress(problem.up, e.i32(0)), round.first + head,
                  problem.columns() * problem.latent * 2);
    expansion.emit(e, entries, up, tile, slot(round, page, head));
  }

  /// The last tiles of a sequence have the longest contexts, so they come first.
  void attend(const Round &round, Val unit) {
    attendTile(round, items - 1 - unit / round.count, unit % round.count);
  }

  void attendTile(const Round &round, Val index, Val headOfRound) {
    ItemValues item = loadItem(frame, kTileItems, index);
    Val head = round.first + headOfRound;
    FlashTile tile(warp, /*window=*/std::nullopt);
    auto loadQuery = [&](const TensorView &view, int64_t column) {
      copyRows(e, tile.threads(), rowsOfHead(frame, view, item.token, head, kAttentionTile),
               e.offset(tile.queries(), column * 2), warp.keyStride(), item.tokens);
    };
    loadQuery(problem.q, 0);
    loadQuery(problem.rope, problem.nope);
    Val firstPage = e.load(e.i32(), problem.pages.firstPage(frame, index));
    tile.attend(item, /*sink=*/Val(), [&](Val page, Val tokens, Val keys, Val values) {
      loadPage(tile, round, firstPage + page, headOfRound, tokens, keys, values);
    });
    tile.forResult(item, [&](Val row, Val column, Val first, Val second) {
      const int64_t bytes = problem.resultType.getIntOrFloatBitWidth() / 8;
      Val to = e.at(frame.resultRow(problem.result, item.token + row),
                    head * problem.value + column, bytes);
      e.store(e.fromF32(e.pack({first, second}), problem.resultType), to, 2 * bytes);
    });
  }

  /// Keys come in two parts: the head's own, and the rotated one that all heads share.
  void loadPage(const FlashTile &tile, const Round &round, Val page, Val headOfRound, Val tokens,
                Val keys, Val values) {
    auto copy = [&](Val from, int64_t columns, int64_t stride, Val to, int64_t toStride) {
      copyRows(e, tile.threads(), {from, kPageTokens, columns * 2, stride}, to, toStride, tokens);
    };
    Val own = slot(round, page, headOfRound);
    Val physical = e.load(e.i32(), problem.pages.physicalPage(frame, page));
    Val entries = e.at(frame.address(problem.cache), physical, kPageTokens * problem.entryBytes());
    copy(own, problem.nope, problem.columns() * 2, keys, warp.keyStride());
    copy(e.offset(entries, problem.latent * 2), problem.ropeSize, problem.entryBytes(),
         e.offset(keys, problem.nope * 2), warp.keyStride());
    copy(e.offset(own, problem.nope * 2), problem.value, problem.columns() * 2, values,
         warp.valueStride());
  }

  KernelFrame &frame;
  Emitter &e;
  const ExpandedProblem &problem;
  WarpAttention warp;
  Val pageCount, items, headsOfRound, unitsOfHead;
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
  FailureOr<ContextPages> pages = ContextPages::ofLimits(assembly, op, countersFor(q->shape[0]));
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

} // namespace

LogicalResult buildExpandedAttention(KernelAssembly &assembly, epi::MlaAttentionOp op) {
  static_assert(FlashTile::kThreads == LatentExpansion::kThreads);
  FailureOr<ExpandedProblem> problem = readProblem(assembly, op);
  if (failed(problem))
    return failure();
  assembly.needWorkspace(problem->pages.bytes() + problem->slots() * problem->pageBytes());
  assembly.beginVariant();
  problem->pages.addLaunch(assembly);
  FunctionSpec spec;
  spec.threads = FlashTile::kThreads;
  spec.grid = DeviceGrid::TileItems;
  spec.columnTiles = problem->heads;
  spec.sharedBytes = problem->sharedBytes();
  spec.blocksOfCore = 2 * (spec.sharedBytes + kSharedOfBlock) <= kSharedOfCore ? 2 : 1;
  spec.persistent = spec.blocksOfCore;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    frame.e.waitForPrevious();
    frame.e.allowNext();
    ExpandedBlock(frame, *problem).emit();
  });
  return success();
}

} // namespace epigraph::cuda
