// Causal attention over a paged cache: grouped-query attention and absorbed multi-head latent
// attention.
//
// A tile is one token and a group of heads that read the same keys: each key is loaded once for the
// group. Pages are visited in order with a running maximum and sum, so memory does not grow with
// the context, and a token's result depends on its own sequence alone. A window begins the visit at
// the page of its first position, so the work is that of the window. A sink is where the maximum
// and the sum begin. Absorbed latent attention is the case of one key head, whose key is the whole
// entry and whose value is the entry's first part.
#include "codegen/cpu/AttentionOperands.h"
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/cpu/PageSoftmax.h"
#include "codegen/cpu/PagedCache.h"

#include <limits>
#include <optional>

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

/// What the two forms have in common. Sizes in elements.
struct Shape {
  int64_t heads;       ///< query heads
  int64_t headsOfKey;  ///< query heads that share one key
  int64_t key, value;  ///< elements of a key and of a value
  int64_t keyStride;   ///< from one key head to the next, in an entry
  int64_t valueOffset; ///< of the first value, in an entry
  int64_t valueStride; ///< from one value head to the next
  int64_t entry;       ///< elements of an entry
  Type cacheType, resultType;
  double scale;
  std::optional<int64_t> window; ///< positions that a token sees at most
};

/// Heads of a tile: their accumulators take at most half of the vector registers.
int64_t groupSize(const Shape &shape, int64_t vectorWidth) {
  int64_t size = vectorWidth == 16 ? 8 : 4;
  while (shape.headsOfKey % size)
    --size;
  return size;
}

/// Attention of one token for one group of heads.
class HeadGroup {
public:
  HeadGroup(KernelEmitter &e, const Shape &shape)
      : e(e), shape(shape), size(groupSize(shape, e.width())),
        queries(e.scratch(size * shape.key * kFloatBytes)),
        weights(e.scratch(size * kPageTokens * kFloatBytes)),
        sums(e.scratch(size * shape.value * kFloatBytes)) {}

  int64_t heads() const { return size; }

  /// Makes the queries of the group: `count` elements at `offset` of each come from `address`,
  /// whose heads are `stride` elements apart.
  void loadQueries(Value address, Type type, int64_t stride, int64_t offset, int64_t count) {
    e.forLoop(e.constant(0), e.constant(size), 1, [&](Value head) {
      Value from = e.element(address, head, stride * byteSize(type));
      Value to = e.advance(e.element(queries, head, shape.key * kFloatBytes), offset * kFloatBytes);
      e.forColumns(count, [&](Value column, int64_t width) {
        e.storeFloats(e.loadFloats(e.element(from, column, byteSize(type)), type, width),
                      e.element(to, column, kFloatBytes), f32());
      });
    });
  }

  /// Maximum and sum of each head before any position, in that order; `sinks` is the address of the
  /// group's first sink, whose neighbours are `stride` bytes apart, or null.
  Values begin(Value sinks, Type type, int64_t stride) {
    Values state;
    for (int64_t head = 0; head < size; ++head)
      state.push_back(sinks ? e.loadFloat(e.advance(sinks, head * stride), type)
                            : e.number(-std::numeric_limits<double>::infinity(), 0));
    state.append(size, e.number(sinks ? 1.0 : 0.0, 0)); // e^(sink - maximum)
    return state;
  }

  /// Attends to the positions before `length`, or the last of them that are in the window, of the
  /// sequence whose page table is at `table`; the group's keys are of head `keyHead`. Writes the
  /// result of the group's first head to `result`, the others behind it.
  void attend(const PagedCache &cache, Value table, Value length, Value keyHead, Values state,
              Value result) {
    const int64_t bytes = byteSize(shape.cacheType);
    clearSums();
    Value first = shape.window ? e.subtract(length, e.minimum(length, e.constant(*shape.window)))
                               : e.constant(0);
    Value pages = e.divide(e.add(length, kPageTokens - 1), kPageTokens);
    state =
        e.forLoop(e.divide(first, kPageTokens), pages, 1, state, [&](Value page, Values carried) {
          Value entries = cache.page(e, table, page);
          const Tokens tokens = visibleTokens(page, first, length);
          scorePage(e.element(entries, keyHead, shape.keyStride * bytes), cache.entryBytes, tokens);
          Values rescale;
          for (int64_t head = 0; head < size; ++head)
            rescale.push_back(weighPage(
                e, weightsOf(head), [&](Value indices) { return isVisible(tokens, indices); },
                carried[head], carried[size + head]));
          Value values = e.advance(e.element(entries, keyHead, shape.valueStride * bytes),
                                   shape.valueOffset * bytes);
          addValues(values, cache.entryBytes, tokens, rescale);
          return carried;
        });
    storeResult(result, ArrayRef(state).drop_front(size));
  }

private:
  /// Tokens [begin, end) of a page.
  struct Tokens {
    Value begin, end;
  };

  /// Those of page `page` among positions [first, length). There is at least one.
  Tokens visibleTokens(Value page, Value first, Value length) {
    Value start = e.multiply(page, kPageTokens);
    Value end = e.minimum(e.subtract(length, start), e.constant(kPageTokens));
    if (!shape.window)
      return {e.constant(0), end};
    // Only the first page that is visited begins before the window.
    Value begin = e.subtract(first, e.minimum(first, start));
    return {begin, end};
  }

  Type f32() { return e.builder.getF32Type(); }
  Value queryOf(int64_t head) { return e.advance(queries, head * shape.key * kFloatBytes); }
  Value weightsOf(int64_t head) { return e.advance(weights, head * kPageTokens * kFloatBytes); }
  Value sumsOf(int64_t head) { return e.advance(sums, head * shape.value * kFloatBytes); }

  void clearSums() {
    e.forColumns(size * shape.value, [&](Value column, int64_t width) {
      e.storeFloats(e.number(0.0, width), e.element(sums, column, kFloatBytes), f32());
    });
  }

  /// weights[head][j] = scale * (query of head . key j), for the `tokens` of the page at `keys`.
  void scorePage(Value keys, int64_t entryBytes, const Tokens &tokens) {
    e.forLoop(tokens.begin, tokens.end, 1, [&](Value token) {
      Value key = e.element(keys, token, entryBytes);
      Values dots(size, e.number(0.0, e.width()));
      dots = e.forColumns(shape.key, dots, [&](Value column, int64_t width, Values carried) {
        Value k =
            e.loadFloats(e.element(key, column, byteSize(shape.cacheType)), shape.cacheType, width);
        k = e.padWithZeros(k, e.width());
        for (int64_t head = 0; head < size; ++head) {
          Value q = e.loadFloats(e.element(queryOf(head), column, kFloatBytes), f32(), width);
          carried[head] = e.fma(e.padWithZeros(q, e.width()), k, carried[head]);
        }
        return carried;
      });
      for (int64_t head = 0; head < size; ++head)
        e.storeFloat(e.multiplyFloats(e.sumOf(dots[head]), e.number(shape.scale, 0)),
                     e.element(weightsOf(head), token, kFloatBytes), f32());
    });
  }

  /// Which of the tokens `indices` are in `tokens`.
  Value isVisible(const Tokens &tokens, Value indices) {
    const int64_t width = e.widthOf(indices);
    Value isBefore = e.isLess(indices, e.broadcastI32(tokens.end, width));
    if (!shape.window)
      return isBefore;
    Value isTooFar = e.isLess(indices, e.broadcastI32(tokens.begin, width));
    Value isNone = e.isLess(indices, indices);
    return e.select(isTooFar, isNone, isBefore);
  }

  /// sums[head] = sums[head] * rescale[head] + the weighted values of the page.
  void addValues(Value values, int64_t entryBytes, const Tokens &tokens, const Values &rescale) {
    e.forColumns(shape.value, [&](Value column, int64_t width) {
      Values totals;
      for (int64_t head = 0; head < size; ++head) {
        Value sum = e.loadFloats(e.element(sumsOf(head), column, kFloatBytes), f32(), width);
        totals.push_back(e.multiplyFloats(sum, e.broadcast(rescale[head], width)));
      }
      totals = e.forLoop(tokens.begin, tokens.end, 1, totals, [&](Value token, Values carried) {
        Value at =
            e.element(e.element(values, token, entryBytes), column, byteSize(shape.cacheType));
        Value v = e.loadFloats(at, shape.cacheType, width);
        for (int64_t head = 0; head < size; ++head) {
          Value weight = e.loadFloat(e.element(weightsOf(head), token, kFloatBytes), f32());
          carried[head] = e.fma(e.broadcast(weight, width), v, carried[head]);
        }
        return carried;
      });
      for (int64_t head = 0; head < size; ++head)
        e.storeFloats(totals[head], e.element(sumsOf(head), column, kFloatBytes), f32());
    });
  }

  void storeResult(Value result, ArrayRef<Value> totals) {
    const int64_t bytes = byteSize(shape.resultType);
    for (int64_t head = 0; head < size; ++head) {
      Value to = e.advance(result, head * shape.value * bytes);
      e.forColumns(shape.value, [&](Value column, int64_t width) {
        Value sum = e.loadFloats(e.element(sumsOf(head), column, kFloatBytes), f32(), width);
        e.storeFloats(e.divideFloats(sum, e.broadcast(totals[head], width)),
                      e.element(to, column, bytes), shape.resultType);
      });
    }
  }

  KernelEmitter &e;
  Shape shape;
  int64_t size;
  Value queries; ///< [heads of the group][key], float32
  Value weights; ///< [heads of the group][tokens of a page]: scores, then weights
  Value sums;    ///< [heads of the group][value], float32
};

/// A part of each query: `view` is [rows, heads, elements].
struct QueryPart {
  TensorView view;
  int64_t offset; ///< in the query
};

/// The state that the group from `firstHead` on begins with.
Values beginOf(KernelFrame &frame, HeadGroup &group, const std::optional<TensorView> &sinks,
               Value firstHead) {
  if (!sinks)
    return group.begin({}, {}, 0);
  KernelEmitter &e = frame.e;
  const int64_t stride = sinks->strides[0] * byteSize(sinks->elementType);
  Value first = e.element(frame.rowAddress(*sinks, e.constant(0)), firstHead, stride);
  return group.begin(first, sinks->elementType, stride);
}

/// `sinks`, if any, is [heads].
Tiling emitAttention(KernelFrame &frame, const Shape &shape, ArrayRef<QueryPart> parts,
                     const std::optional<TensorView> &sinks, BlockArgument cacheArgument,
                     unsigned result) {
  KernelEmitter &e = frame.e;
  HeadGroup group(e, shape);
  const PagedCache cache{frame.address(cacheArgument), shape.entry * byteSize(shape.cacheType)};
  Value positions = frame.positions();
  const Tiling tiling{1, shape.heads / group.heads()};
  frame.forTiles(tiling, [&](Value row, Value, Value column) {
    Value firstHead = e.multiply(column, group.heads());
    for (const QueryPart &part : parts) {
      const int64_t stride = part.view.strides[0];
      Value address = e.element(frame.rowAddress(part.view, row), firstHead,
                                stride * byteSize(part.view.elementType));
      group.loadQueries(address, part.view.elementType, stride, part.offset, part.view.shape[1]);
    }
    Values state = beginOf(frame, group, sinks, firstHead);
    Value position = e.loadI32(e.element(positions, row, sizeof(int32_t)));
    Value to = e.element(frame.resultRow(result, row), firstHead,
                         shape.value * byteSize(shape.resultType));
    group.attend(cache, frame.pageTableOf(row), e.add(position, 1),
                 e.divide(firstHead, shape.headsOfKey), std::move(state), to);
  });
  return tiling;
}

Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

std::optional<int64_t> windowOf(epi::AttentionOp op) {
  if (std::optional<uint64_t> window = op.getWindow())
    return static_cast<int64_t>(*window);
  return std::nullopt;
}

} // namespace

BuiltTiling buildAttention(KernelFrame &frame, epi::AttentionOp op) {
  FailureOr<TensorView> q = queryView(frame, op, op.getQ(), "q");
  FailureOr<BlockArgument> cache = cacheArgument(frame, op, op.getCache());
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(q) || failed(cache) || failed(result))
    return failure();
  std::optional<TensorView> sinks;
  if (op.getSinks()) {
    FailureOr<TensorView> view = frame.view(op, op.getSinks(), "sinks");
    if (failed(view))
      return failure();
    sinks = *view;
  }
  auto type = cast<epi::KvCacheType>(cache->getType());
  const int64_t heads = q->shape[0];
  const Shape shape{heads,
                    heads / type.getHeads(),
                    type.getKey(),
                    type.getValue(),
                    /*keyStride=*/type.getKey(),
                    /*valueOffset=*/type.getHeads() * type.getKey(),
                    /*valueStride=*/type.getValue(),
                    type.getEntryElements(),
                    type.getElementType(),
                    elementOf(op.getResult()),
                    op.getScale().convertToDouble(),
                    windowOf(op)};
  return emitAttention(frame, shape, {{*q, 0}}, sinks, *cache, *result);
}

BuiltTiling buildMlaAttention(KernelFrame &frame, epi::MlaAttentionOp op) {
  if (op.getUp())
    return buildExpandedAttention(frame, op);
  FailureOr<TensorView> q = queryView(frame, op, op.getQ(), "q");
  FailureOr<TensorView> rope = queryView(frame, op, op.getQRope(), "q_rope");
  FailureOr<BlockArgument> cache = cacheArgument(frame, op, op.getCache());
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(q) || failed(rope) || failed(cache) || failed(result))
    return failure();
  auto type = cast<epi::MlaCacheType>(cache->getType());
  const int64_t heads = q->shape[0];
  const Shape shape{heads,
                    /*headsOfKey=*/heads,
                    type.getEntryElements(),
                    type.getLatent(),
                    /*keyStride=*/0,
                    /*valueOffset=*/0,
                    /*valueStride=*/0,
                    type.getEntryElements(),
                    type.getElementType(),
                    elementOf(op.getResult()),
                    op.getScale().convertToDouble(),
                    /*window=*/std::nullopt};
  return emitAttention(frame, shape, {{*q, 0}, {*rope, type.getLatent()}}, /*sinks=*/std::nullopt,
                       *cache, *result);
}

} // namespace epigraph::cpu
