// Causal attention over cached keys and values. Batches with one token of each sequence have a
// kernel of their own (TokenAttention.cpp), as have tiles of tokens by products of warpgroups
// (WarpgroupAttention.cpp). For other sizes a block takes one query head of a tile of tokens. The
// last tiles of a sequence have the longest contexts, so they come first.
#include "codegen/cuda/AttentionOperands.h"
#include "codegen/cuda/FlashTile.h"
#include "codegen/cuda/GroupedQueries.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/PagedCache.h"

#include <numbers>

using namespace mlir;

namespace epigraph::cuda {

GlobalRows GroupedQueries::keys(KernelFrame &frame, Val page, Val token, Val keyHead,
                                int64_t tokens) const {
  Emitter &e = frame.e;
  Val slot = e.toI64(page) * kPageTokens + e.toI64(token);
  Val entry = e.at(frame.address(cache), slot, entryBytes());
  return {e.at(entry, keyHead, key * 2), tokens, key * 2, entryBytes()};
}

GlobalRows GroupedQueries::values(KernelFrame &frame, Val page, Val token, Val keyHead,
                                  int64_t tokens) const {
  Emitter &e = frame.e;
  Val slot = e.toI64(page) * kPageTokens + e.toI64(token);
  Val entry = e.at(frame.address(cache), slot, entryBytes());
  Val first = e.offset(entry, valuesInKeys ? 0 : keyHeads * key * 2);
  return {e.at(first, keyHead, value * 2), tokens, value * 2, entryBytes()};
}

void GroupedQueries::copyQueries(KernelFrame &frame, const CopyThreads &threads, Val token,
                                 Val head, Val heads, Val to, int64_t stride) const {
  Emitter &e = frame.e;
  constexpr int64_t rows = WarpAttention::kQueries;
  copyRows(e, threads, headsOfRow(frame, q, token, head, rows), to, stride, heads);
  if (qEnd)
    copyRows(e, threads, headsOfRow(frame, *qEnd, token, head, rows),
             e.offset(to, q.shape.back() * 2), stride, heads);
}

void GroupedQueries::rotateQueries(KernelFrame &frame, const CopyThreads &threads, Val position,
                                   Val at, int64_t stride) const {
  if (!rotation)
    return;
  Emitter &e = frame.e;
  const int64_t shares = rotation->shares();
  Val ends = e.offset(at, q.shape.back() * 2);
  e.forEach(threads.thread, e.i32(WarpAttention::kQueries * shares), e.i32(threads.count),
            [&](Val unit) {
              Val share = unit % shares, end = e.at(ends, unit / shares, stride);
              rotation->turn(rotation->load(frame, position, share), share,
                             [&](Val number) { return e.at(end, number, 16); });
            });
  e.syncThreads();
}

Val GroupedQueries::sink(KernelFrame &frame, Val head) const {
  if (!sinks)
    return {};
  Emitter &e = frame.e;
  const int64_t bytes = sinks->elementType.getIntOrFloatBitWidth() / 8;
  Val address = e.at(frame.rowAddress(*sinks, e.i32(0)), head, sinks->strides[0] * bytes);
  return e.toF32(e.load(sinks->elementType, address));
}

Val GroupedQueries::sinkWeight(KernelFrame &frame, Val head, Val maximum) const {
  Emitter &e = frame.e;
  Val score = sink(frame, head);
  return score ? e.exp2(score * e.f32(std::numbers::log2e) - maximum) : e.f32(0.0);
}

Val GroupedQueries::firstPage(Emitter &e, Val position) const {
  return window ? e.maximum(position - (*window - 1), e.i32(0)) / kPageTokens : e.i32(0);
}

void GroupedQueries::store(KernelFrame &frame, Val row, Val head, Val column,
                           ArrayRef<Val> values) const {
  Emitter &e = frame.e;
  const int64_t bytes = resultType.getIntOrFloatBitWidth() / 8;
  Val to = e.at(frame.resultRow(result, row), head * value + column, bytes);
  e.store(e.fromF32(e.pack(values), resultType), to, static_cast<int64_t>(values.size()) * bytes);
}

namespace {

FailureOr<GroupedQueries> readOperands(KernelAssembly &assembly, epi::AttentionOp op) {
  FailureOr<TensorView> q = queryView(assembly, op, op.getQ(), "q");
  FailureOr<BlockArgument> cache = cacheArgument(assembly, op, op.getCache());
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(q) || failed(cache) || failed(result))
    return failure();
  std::optional<TensorView> sinks;
  if (op.getSinks()) {
    FailureOr<TensorView> view = assembly.view(op, op.getSinks(), "sinks");
    if (failed(view))
      return failure();
    sinks = *view;
  }
  auto type = cast<epi::KvCacheType>(cache->getType());
  if (failed(checkHeadSize(assembly, op, "key", type.getKey(), 256)) ||
      failed(checkHeadSize(assembly, op, "value", type.getValue(), 256)))
    return failure();
  std::optional<int64_t> window;
  if (op.getWindow())
    window = static_cast<int64_t>(*op.getWindow());
  Type resultType = cast<RankedTensorType>(op.getType()).getElementType();
  return GroupedQueries{
      *q,          sinks,           *cache,        *result,         resultType,
      q->shape[0], type.getHeads(), type.getKey(), type.getValue(), op.getScale().convertToDouble(),
      window};
}

/// Attention of `head` for the item.
void emitTile(KernelFrame &frame, const GroupedQueries &problem, const ItemValues &item, Val head) {
  Emitter &e = frame.e;
  const WarpAttention warp{e, problem.key, problem.value, kPageTokens, problem.scale};
  FlashTile tile(warp, problem.window);
  copyRows(e, tile.threads(), rowsOfHead(frame, problem.q, item.token, head, kAttentionTile),
           tile.queries(), warp.keyStride(), item.tokens);
  Val table = pageTableOf(frame, item.sequence);
  Val keyHead = head / problem.headsOfKey();
  auto loadPage = [&](Val page, Val tokens, Val keys, Val values) {
    Val physical = physicalPage(e, table, page), first = e.i32(0);
    copyRows(e, tile.threads(), problem.keys(frame, physical, first, keyHead, kPageTokens), keys,
             warp.keyStride(), tokens);
    copyRows(e, tile.threads(), problem.values(frame, physical, first, keyHead, kPageTokens),
             values, warp.valueStride(), tokens);
  };
  tile.attend(item, problem.sink(frame, head), loadPage);
  tile.forResult(item, [&](Val row, Val column, Val first, Val second) {
    problem.store(frame, item.token + row, head, column, {first, second});
  });
}

void addTileAttention(KernelAssembly &assembly, const GroupedQueries &problem) {
  FunctionSpec spec;
  spec.suffix = "tiles";
  spec.threads = FlashTile::kThreads;
  spec.grid = DeviceGrid::TileItems;
  spec.columnTiles = problem.heads;
  spec.sharedBytes = FlashTile::sharedBytes(problem.key, problem.value);
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    e.allowNext();
    e.waitForPrevious();
    Val place = e.blockId() / problem.heads, head = e.blockId() % problem.heads;
    Val count = itemCount(frame, kTileItems);
    e.ifThen(place < count, [&] {
      ItemValues item = loadItem(frame, kTileItems, count - 1 - place);
      emitTile(frame, problem, item, head);
    });
  });
}

} // namespace

LogicalResult buildAttention(KernelAssembly &assembly, epi::AttentionOp op) {
  FailureOr<GroupedQueries> problem = readOperands(assembly, op);
  if (failed(problem))
    return failure();
  if (const int64_t most = mostClusterRows(assembly.target, *problem)) {
    assembly.beginVariant(most, /*oneTokenEach=*/true);
    addClusterAttention(assembly, *problem);
  }
  assembly.beginVariant(/*mostRows=*/0, /*oneTokenEach=*/true);
  addTokenAttention(assembly, *problem);
  assembly.beginVariant();
  if (fitsWarpgroups(*problem))
    addWarpgroupAttention(assembly, *problem);
  else
    addTileAttention(assembly, *problem);
  return success();
}

} // namespace epigraph::cuda
