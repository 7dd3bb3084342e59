// Causal latent attention in its expanded form: keys and values of a head are made from the latent
// vectors of the cache where they are needed, and never stored.
//
// A tile is one head over all sequences of the batch. A sequence's rows pass in blocks; for each
// block the pages of its context are visited in order. The head's keys and values of a page are
// expanded once for the block, then all of its rows score them and add them up, each with a running
// maximum and sum. So the expansion, which costs (nope + value) * latent products a token, is
// shared by as many rows as a block has; a step of one token a sequence pays all of it, and is
// better off absorbed (--epi-choose-attention-form).
//
// All products are rows times a matrix with one column for each token of the page, so latent
// vectors and keys lie with tokens next to each other.
#include "codegen/cpu/AttentionOperands.h"
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/cpu/PageSoftmax.h"
#include "codegen/cpu/PagedCache.h"
#include "codegen/cpu/RowsTimesMatrix.h"

#include <algorithm>
#include <limits>

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
/// A row of a matrix with one column for each token of a page.
constexpr int64_t kPageRowBytes = kPageTokens * kFloatBytes;
/// Sums of a block of rows take this much of the stack at most...
constexpr int64_t kSumBytes = 256 * 1024;
/// ...and a block has no more rows than this: expansion is then a small part of the work.
constexpr int64_t kMostRows = 512;

/// Sizes in elements.
struct Sizes {
  int64_t heads, nope, rope, value, latent;

  int64_t key() const { return nope + rope; }
  int64_t blockRows() const {
    return std::clamp<int64_t>(kSumBytes / (value * kFloatBytes), 1, kMostRows);
  }
};

struct Operands {
  TensorView q, rope, up;
  BlockArgument cache;
  unsigned result;
};

/// Rows [first, first + count) of the batch, of one sequence.
struct RowBlock {
  Value first, count;
  Value position;  ///< of the first row
  Value pageTable; ///< its sequence's
};

/// The tile of one head.
class ExpandedHead {
public:
  ExpandedHead(KernelFrame &frame, const Sizes &sizes, const Operands &operands, Type cacheType,
               Type resultType, double scale)
      : frame(frame), e(frame.e), sizes(sizes), operands(operands), cacheType(cacheType),
        resultType(resultType), scale(scale), latents(e.scratch(sizes.latent * kPageRowBytes)),
        keys(e.scratch(sizes.key() * kPageRowBytes)),
        columnValues(e.scratch(sizes.value * kPageRowBytes)),
        values(e.scratch(kPageTokens * sizes.value * kFloatBytes)),
        weights(e.scratch(kTallestRowGroup * kPageRowBytes)),
        maxima(e.scratch(sizes.blockRows() * kFloatBytes)),
        totals(e.scratch(sizes.blockRows() * kFloatBytes)),
        sums(e.scratch(sizes.blockRows() * sizes.value * kFloatBytes)) {}

  /// All rows of the batch, for head `head`.
  void emit(Value head) {
    Value positions = frame.positions();
    forSequences([&](Value first, Value last) {
      Value table = frame.pageTableOf(first);
      e.forLoop(first, last, sizes.blockRows(), [&](Value row) {
        Value count = e.minimum(e.subtract(last, row), e.constant(sizes.blockRows()));
        Value position = e.loadI32(e.element(positions, row, sizeof(int32_t)));
        attend(head, {row, count, position, table});
      });
    });
  }

private:
  Type f32() { return e.builder.getF32Type(); }

  /// Calls `body` with the rows [first, last) of each sequence of the batch: they are neighbours.
  void forSequences(llvm::function_ref<void(Value first, Value last)> body) {
    Value sequences = frame.sequenceOfTokens();
    auto sequenceOf = [&](Value row) {
      return e.loadI32(e.element(sequences, row, sizeof(int32_t)));
    };
    auto differ = [&](Value a, Value b) {
      Value difference = e.subtract(a, b);
      return e.isLess(e.constant(0), e.multiply(difference, difference));
    };
    e.forLoop(e.constant(0), frame.rows(), 1, [&](Value row) {
      Value sequence = sequenceOf(row);
      Value isFirstRow = e.isLess(row, e.constant(1));
      Value previousRow = e.subtract(row, e.minimum(row, e.constant(1)));
      Value previous = e.select(isFirstRow, e.constant(-1), sequenceOf(previousRow));
      e.ifThenElse(
          differ(sequence, previous),
          [&] {
            Values last =
                e.forLoop(row, frame.rows(), 1, {row}, [&](Value other, Values carried) -> Values {
                  return {
                      e.select(differ(sequenceOf(other), sequence), carried[0], e.add(other, 1))};
                });
            body(row, last[0]);
          },
          [] {});
    });
  }

  void attend(Value head, const RowBlock &block) {
    clear(block.count);
    const int64_t entryBytes = (sizes.latent + sizes.rope) * byteSize(cacheType);
    const PagedCache cache{frame.address(operands.cache), entryBytes};
    Value length = e.add(block.position, block.count);
    Value pages = e.divide(e.add(length, kPageTokens - 1), kPageTokens);
    e.forLoop(e.constant(0), pages, 1, [&](Value page) {
      Value start = e.multiply(page, kPageTokens);
      Value tokens = e.minimum(e.subtract(length, start), e.constant(kPageTokens));
      expand(head, cache.page(e, block.pageTable, page), entryBytes, tokens);
      // Rows whose positions are before the page do not see it.
      Value firstRow = e.subtract(start, e.minimum(start, block.position));
      forRowGroups(e, firstRow, block.count, [&](Value row, int64_t height) {
        score(head, e.add(block.first, row), height);
        Values rescale;
        Value seen = e.subtract(e.add(block.position, row), start);
        for (int64_t i = 0; i < height; ++i)
          rescale.push_back(weigh(e.add(row, i), i, e.add(seen, i + 1)));
        addValues(row, height, e.minimum(e.add(seen, height), e.constant(kPageTokens)), rescale);
      });
    });
    store(head, block);
  }

  void clear(Value rows) {
    e.forLoop(e.constant(0), rows, 1, [&](Value row) {
      e.storeFloat(e.number(-std::numeric_limits<double>::infinity(), 0),
                   e.element(maxima, row, kFloatBytes), f32());
      e.storeFloat(e.number(0.0, 0), e.element(totals, row, kFloatBytes), f32());
      Value sum = sumsOf(row);
      e.forColumns(sizes.value, [&](Value column, int64_t width) {
        e.storeFloats(e.number(0.0, width), e.element(sum, column, kFloatBytes), f32());
      });
    });
  }

  /// Makes keys and values of `head` for the first `tokens` entries of the page at `entries`. The
  /// other columns hold anything.
  void expand(Value head, Value entries, int64_t entryBytes, Value tokens) {
    const int64_t upBytes = byteSize(operands.up.elementType);
    const int64_t upRowBytes = operands.up.strides[0] * upBytes;
    transposeRows(e, entries, entryBytes, cacheType, tokens, sizes.latent, latents, kPageRowBytes);
    transposeRows(e, e.advance(entries, sizes.latent * byteSize(cacheType)), entryBytes, cacheType,
                  tokens, sizes.rope, e.advance(keys, sizes.nope * kPageRowBytes), kPageRowBytes);
    Value up = e.element(frame.rowAddress(operands.up, e.constant(0)), head,
                         (sizes.nope + sizes.value) * upRowBytes);
    auto project = [&](Value weightRows, int64_t count, Value to) {
      forRowGroups(e, e.constant(0), e.constant(count), [&](Value row, int64_t height) {
        const RowFactor factor{e.element(weightRows, row, upRowBytes), operands.up.elementType,
                               upRowBytes, e.constant(sizes.latent), latents};
        storeColumns(height, {factor}, e.element(to, row, kPageRowBytes), 1.0);
      });
    };
    project(up, sizes.nope, keys);
    project(e.advance(up, sizes.nope * upRowBytes), sizes.value, columnValues);
    transposeRows(e, columnValues, kPageRowBytes, f32(), e.constant(sizes.value), kPageTokens,
                  values, sizes.value * kFloatBytes);
  }

  /// weights[i] = scale * (query of row `row` + i) . keys, for all tokens of the page.
  void score(Value head, Value row, int64_t height) {
    auto factorOf = [&](const TensorView &view, int64_t firstKey) {
      const int64_t bytes = byteSize(view.elementType);
      return RowFactor{e.element(frame.rowAddress(view, row), head, view.strides[0] * bytes),
                       view.elementType, view.rowStride * bytes, e.constant(view.shape[1]),
                       e.advance(keys, firstKey * kPageRowBytes)};
    };
    storeColumns(height, {factorOf(operands.q, 0), factorOf(operands.rope, sizes.nope)}, weights,
                 scale);
  }

  /// The products of `factors` over the tokens of a page, times `by`, to rows from `to` on.
  void storeColumns(int64_t height, ArrayRef<RowFactor> factors, Value to, double by) {
    multiplyRows(
        e, height, factors, kPageTokens,
        [&](int64_t, Value, int64_t width) { return e.number(0.0, width); },
        [&](int64_t row, Value column, Value result) {
          if (by != 1.0)
            result = e.multiplyFloats(result, e.number(by, e.widthOf(result)));
          e.storeFloats(result, e.advance(e.element(to, column, kFloatBytes), row * kPageRowBytes),
                        f32());
        });
  }

  /// Turns the scores of group row `index`, the block's row `row`, which sees the first `seen`
  /// tokens of the page, into weights. Returns the factor for what it has summed before.
  Value weigh(Value row, int64_t index, Value seen) {
    Value maximumAt = e.element(maxima, row, kFloatBytes);
    Value totalAt = e.element(totals, row, kFloatBytes);
    Value maximum = e.loadFloat(maximumAt, f32()), total = e.loadFloat(totalAt, f32());
    auto isVisible = [&](Value tokens) {
      return e.isLess(tokens, e.broadcastI32(seen, e.widthOf(tokens)));
    };
    Value rescale =
        weighPage(e, e.advance(weights, index * kPageRowBytes), isVisible, maximum, total);
    e.storeFloat(maximum, maximumAt, f32());
    e.storeFloat(total, totalAt, f32());
    return rescale;
  }

  /// sums = sums * rescale + weights * values, for `height` rows of the block from `row` on. A row
  /// gives tokens that it does not see the weight 0, which changes nothing (values are finite).
  void addValues(Value row, int64_t height, Value tokens, const Values &rescale) {
    Value firstSum = sumsOf(row);
    auto sumAt = [&](int64_t i, Value column) {
      return e.advance(e.element(firstSum, column, kFloatBytes), i * sizes.value * kFloatBytes);
    };
    multiplyRows(
        e, height, {{weights, f32(), kPageRowBytes, tokens, values}}, sizes.value,
        [&](int64_t i, Value column, int64_t width) {
          return e.multiplyFloats(e.loadFloats(sumAt(i, column), f32(), width),
                                  e.broadcast(rescale[static_cast<size_t>(i)], width));
        },
        [&](int64_t i, Value column, Value result) {
          e.storeFloats(result, sumAt(i, column), f32());
        });
  }

  void store(Value head, const RowBlock &block) {
    const int64_t bytes = byteSize(resultType);
    e.forLoop(e.constant(0), block.count, 1, [&](Value row) {
      Value to = e.element(frame.resultRow(operands.result, e.add(block.first, row)), head,
                           sizes.value * bytes);
      Value total = e.loadFloat(e.element(totals, row, kFloatBytes), f32());
      Value sum = sumsOf(row);
      e.forColumns(sizes.value, [&](Value column, int64_t width) {
        Value mean = e.divideFloats(e.loadFloats(e.element(sum, column, kFloatBytes), f32(), width),
                                    e.broadcast(total, width));
        e.storeFloats(mean, e.element(to, column, bytes), resultType);
      });
    });
  }

  Value sumsOf(Value row) { return e.element(sums, row, sizes.value * kFloatBytes); }

  KernelFrame &frame;
  KernelEmitter &e;
  Sizes sizes;
  Operands operands;
  Type cacheType, resultType;
  double scale;
  // Scratch, all float32. A page's tokens are the columns of latents, keys and columnValues.
  Value latents;      ///< [latent][tokens]
  Value keys;         ///< [nope + rope][tokens]
  Value columnValues; ///< [value][tokens]
  Value values;       ///< [tokens][value]
  Value weights;      ///< [rows of a group][tokens]: scores, then weights
  Value maxima;       ///< [rows of the block]
  Value totals;       ///< [rows of the block]: sums of weights
  Value sums;         ///< [rows of the block][value]
};

Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

/// The view of `up`, whose rows must be contiguous, or a diagnostic.
FailureOr<TensorView> upView(KernelFrame &frame, epi::MlaAttentionOp op) {
  FailureOr<TensorView> view = frame.view(op, op.getUp(), "up");
  if (failed(view))
    return failure();
  auto argument = cast<RankedTensorType>(view->argument.getType());
  if (argument.getEncoding() || view->strides.back() != 1)
    return op.emitError("CPU kernel @")
           << frame.kernel.getSymName() << " needs an 'up' whose rows are contiguous, got "
           << argument << "; store it unpacked";
  return view;
}

} // namespace

BuiltTiling buildExpandedAttention(KernelFrame &frame, epi::MlaAttentionOp op) {
  FailureOr<TensorView> q = queryView(frame, op, op.getQ(), "q");
  FailureOr<TensorView> rope = queryView(frame, op, op.getQRope(), "q_rope");
  FailureOr<TensorView> up = upView(frame, op);
  FailureOr<BlockArgument> cache = cacheArgument(frame, op, op.getCache());
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(q) || failed(rope) || failed(up) || failed(cache) || failed(result))
    return failure();
  auto type = cast<epi::MlaCacheType>(cache->getType());
  const Sizes sizes{q->shape[0], q->shape[1], type.getRope(),
                    cast<RankedTensorType>(op.getType()).getDimSize(2), type.getLatent()};
  ExpandedHead tile(frame, sizes, {*q, *rope, *up, *cache, *result}, type.getElementType(),
                    elementOf(op.getResult()), op.getScale().convertToDouble());
  const Tiling tiling{/*rows=*/0, sizes.heads};
  frame.forTiles(tiling, [&](Value, Value, Value head) { tile.emit(head); });
  return tiling;
}

} // namespace epigraph::cpu
