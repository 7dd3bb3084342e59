// Causal attention over a paged cache: grouped-query attention and absorbed multi-head latent
// attention.
//
// A tile is one token and a group of heads that read the same keys: each key is loaded once for the
// group. Pages are visited in order with a running maximum and sum (online softmax; Milakov and
// Gimelshein, 2018), so memory does not grow with the context, and a token's result depends on its
// own sequence alone. Absorbed latent attention is the case of one key head, whose key is the whole
// entry and whose value is the entry's first part.
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/cpu/PagedCache.h"

#include <limits>

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

  /// Attends to positions [0, length) of the sequence whose page table is at `table`; the group's
  /// keys are of head `keyHead`. Writes the result of the group's first head to `result`, the
  /// others behind it.
  void attend(const PagedCache &cache, Value table, Value length, Value keyHead, Value result) {
    const int64_t bytes = byteSize(shape.cacheType);
    clearSums();
    Value pages = e.divide(e.add(length, kPageTokens - 1), kPageTokens);
    Values state(size, e.number(-std::numeric_limits<double>::infinity(), 0));
    state.append(size, e.number(0.0, 0));
    state = e.forLoop(e.constant(0), pages, 1, state, [&](Value page, Values carried) {
      Value entries = cache.page(e, table, page);
      Value count =
          e.minimum(e.subtract(length, e.multiply(page, kPageTokens)), e.constant(kPageTokens));
      scorePage(e.element(entries, keyHead, shape.keyStride * bytes), cache.entryBytes, count);
      Values rescale;
      for (int64_t head = 0; head < size; ++head)
        rescale.push_back(weighPage(head, count, carried[head], carried[size + head]));
      Value first = e.advance(e.element(entries, keyHead, shape.valueStride * bytes),
                              shape.valueOffset * bytes);
      addValues(first, cache.entryBytes, count, rescale);
      return carried;
    });
    storeResult(result, ArrayRef(state).drop_front(size));
  }

private:
  Type f32() { return e.builder.getF32Type(); }
  Value queryOf(int64_t head) { return e.advance(queries, head * shape.key * kFloatBytes); }
  Value weightsOf(int64_t head) { return e.advance(weights, head * kPageTokens * kFloatBytes); }
  Value sumsOf(int64_t head) { return e.advance(sums, head * shape.value * kFloatBytes); }

  void clearSums() {
    e.forColumns(size * shape.value, [&](Value column, int64_t width) {
      e.storeFloats(e.number(0.0, width), e.element(sums, column, kFloatBytes), f32());
    });
  }

  /// weights[head][j] = scale * (query of head . key j), for the `count` keys from `keys` on.
  void scorePage(Value keys, int64_t entryBytes, Value count) {
    e.forLoop(e.constant(0), count, 1, [&](Value token) {
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

  /// Turns the page's scores of `head` into weights relative to the new maximum. Updates the
  /// running maximum and sum, and returns the factor that what was summed before must be multiplied
  /// by.
  Value weighPage(int64_t head, Value count, Value &maximum, Value &sum) {
    const int64_t width = e.width();
    Value none = e.number(-std::numeric_limits<double>::infinity(), width);
    Values scores, isToken;
    Value best = none;
    for (int64_t first = 0; first < kPageTokens; first += width) {
      Value loaded = e.loadFloats(e.advance(weightsOf(head), first * kFloatBytes), f32(), width);
      isToken.push_back(e.isLess(e.iota(first, width), e.broadcastI32(count, width)));
      scores.push_back(e.select(isToken.back(), loaded, none));
      best = e.maximumFloats(best, scores.back());
    }
    Value newMaximum = e.maximumFloats(maximum, e.maximumOf(best));
    Value rescale = e.exponential(e.subtractFloats(maximum, newMaximum));
    Value zero = e.number(0.0, width), total = zero;
    for (int64_t i = 0; i * width < kPageTokens; ++i) {
      Value relative = e.subtractFloats(scores[i], e.broadcast(newMaximum, width));
      Value weight = e.select(isToken[i], e.exponential(relative), zero);
      e.storeFloats(weight, e.advance(weightsOf(head), i * width * kFloatBytes), f32());
      total = e.addFloats(total, weight);
    }
    sum = e.fma(sum, rescale, e.sumOf(total));
    maximum = newMaximum;
    return rescale;
  }

  /// sums[head] = sums[head] * rescale[head] + the weighted values of the page.
  void addValues(Value values, int64_t entryBytes, Value count, const Values &rescale) {
    e.forColumns(shape.value, [&](Value column, int64_t width) {
      Values totals;
      for (int64_t head = 0; head < size; ++head) {
        Value sum = e.loadFloats(e.element(sumsOf(head), column, kFloatBytes), f32(), width);
        totals.push_back(e.multiplyFloats(sum, e.broadcast(rescale[head], width)));
      }
      totals = e.forLoop(e.constant(0), count, 1, totals, [&](Value token, Values carried) {
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

Tiling emitAttention(KernelFrame &frame, const Shape &shape, ArrayRef<QueryPart> parts,
                     BlockArgument cacheArgument, unsigned result) {
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
    Value position = e.loadI32(e.element(positions, row, sizeof(int32_t)));
    Value to = e.element(frame.resultRow(result, row), firstHead,
                         shape.value * byteSize(shape.resultType));
    group.attend(cache, frame.pageTableOf(row), e.add(position, 1),
                 e.divide(firstHead, shape.headsOfKey), to);
  });
  return tiling;
}

/// The view of a query whose heads are contiguous inside, or a diagnostic.
FailureOr<TensorView> queryView(KernelFrame &frame, Operation *op, Value operand, StringRef name) {
  FailureOr<TensorView> view = frame.view(op, operand, name);
  if (succeeded(view) && view->strides.back() != 1 && view->shape.back() != 1)
    return op->emitError("CPU kernel @")
           << frame.kernel.getSymName() << " needs a '" << name
           << "' whose last dimension is contiguous; copy it by a kernel of its own";
  return view;
}

FailureOr<BlockArgument> cacheArgument(KernelFrame &frame, Operation *op, Value cache) {
  if (auto argument = dyn_cast<BlockArgument>(cache))
    return argument;
  return op->emitError("the cache of CPU kernel @")
         << frame.kernel.getSymName() << " must be an argument; outline epi.kv_append apart";
}

Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

} // namespace

BuiltTiling buildAttention(KernelFrame &frame, epi::AttentionOp op) {
  FailureOr<TensorView> q = queryView(frame, op, op.getQ(), "q");
  FailureOr<BlockArgument> cache = cacheArgument(frame, op, op.getCache());
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(q) || failed(cache) || failed(result))
    return failure();
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
                    op.getScale().convertToDouble()};
  return emitAttention(frame, shape, {{*q, 0}}, *cache, *result);
}

BuiltTiling buildMlaAttention(KernelFrame &frame, epi::MlaAttentionOp op) {
  if (op.getUp())
    return op.emitError("CPU kernel @")
           << frame.kernel.getSymName()
           << " is mla_attention in its expanded form (with 'up'), which "
           << "would expand the whole cache for each token; run --epi-absorb-mla";
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
                    op.getScale().convertToDouble()};
  return emitAttention(frame, shape, {{*q, 0}, {*rope, type.getLatent()}}, *cache, *result);
}

} // namespace epigraph::cpu
