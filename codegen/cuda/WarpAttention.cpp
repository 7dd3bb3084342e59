// Fragments are those of mma.m16n8k16. The weights of a step are, as they come out of the softmax,
// the left operand of the product with its values.
#include "codegen/cuda/WarpAttention.h"

#include "codegen/cuda/Hopper.h"

#include <limits>
#include <numbers>

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// The address that this lane gives to ldmatrix.x4 for 16 x 16 elements at `start`: the matrices
/// are in order of rows first. For left operands, and for right ones whose K lies along rows.
Val byRows(Emitter &e, Val start, int64_t stride) {
  return e.offset(start, (e.lane() % 16) * stride + (e.lane() / 16) * 16);
}

/// The same in order of columns first: for right operands whose K lies along columns.
Val byColumns(Emitter &e, Val start, int64_t stride) {
  Val row = e.lane() % 8 + (e.lane() / 16) * 8;
  return e.offset(start, row * stride + ((e.lane() / 8) % 2) * 16);
}

/// Adds products of `left` and the two right operands that loadMatrices gave to the tiles of
/// `sums` from `tile` on.
void multiplyPair(Vals &sums, int64_t tile, ArrayRef<Val> left, ArrayRef<Val> right) {
  for (size_t i = 0; i < 2; ++i) {
    auto acc = MutableArrayRef<Val>(sums).slice((static_cast<size_t>(tile) + i) * 4, 4);
    llvm::copy(multiplyWarp(acc, left, right.slice(i * 2, 2)), acc.begin());
  }
}

} // namespace

Vals WarpState::pack() const {
  Vals all{maximum[0], maximum[1], total[0], total[1]};
  all.append(sums.begin(), sums.end());
  return all;
}

WarpState WarpState::unpack(ArrayRef<Val> values) {
  WarpState state{{values[0], values[1]}, {values[2], values[3]}, {}};
  state.sums.assign(values.begin() + 4, values.end());
  return state;
}

WarpState WarpAttention::initial() const {
  Val none = e.f32(kNoScore), zero = e.f32(0.0);
  return {{none, none}, {zero, zero}, Vals(static_cast<size_t>(value / 2), zero)};
}

Vals WarpAttention::score(Val queries, Val keys) const {
  Val query = byRows(e, queries, keyStride());
  Val keyAt = byColumns(e, keys, keyStride());
  Vals scores(static_cast<size_t>(tokens / 2), e.f32(0.0));
  for (int64_t depth = 0; depth < key / 16; ++depth) {
    Vals left = loadMatrices(e.offset(query, depth * 32), /*transposed=*/false);
    for (int64_t tile = 0; tile < tokens / 8; tile += 2) {
      Val at = e.offset(keyAt, tile * 8 * keyStride() + depth * 32);
      multiplyPair(scores, tile, left, loadMatrices(at, /*transposed=*/false));
    }
  }
  return scores;
}

Val WarpAttention::columnOf(int64_t element) const {
  return (e.lane() % 4) * 2 + (element / 4 * 8 + element % 2);
}

WarpState WarpAttention::weigh(const WarpState &state, Vals &scores) const {
  WarpState next;
  next.sums = state.sums;
  Val factor = e.f32(scale * std::numbers::log2e);
  for (size_t half = 0; half < 2; ++half) {
    auto ofHalf = [&](Vals &values, llvm::function_ref<void(Val &)> visit) {
      for (size_t i = 0; i < values.size(); ++i)
        if (i / 2 % 2 == half)
          visit(values[i]);
    };
    Val highest = e.f32(-std::numeric_limits<double>::infinity());
    ofHalf(scores, [&](Val &score) { highest = e.maximum(highest, score); });
    next.maximum[half] = e.maximum(state.maximum[half], e.warpMax(highest, 4) * factor);
    Val rescale = e.exp2(state.maximum[half] - next.maximum[half]);
    Val minus = e.negate(next.maximum[half]);
    next.total[half] = state.total[half] * rescale;
    ofHalf(scores, [&](Val &score) {
      score = e.exp2(e.fma(score, factor, minus));
      next.total[half] = next.total[half] + score;
    });
    ofHalf(next.sums, [&](Val &sum) { sum = sum * rescale; });
  }
  return next;
}

WarpState WarpAttention::add(const WarpState &state, Vals scores, Val values) const {
  WarpState next = weigh(state, scores);
  Val valueAt = byRows(e, values, valueStride());
  auto pair = [&](int64_t index) {
    auto first = static_cast<size_t>(index);
    return e.bitcast(e.i32(), e.fromF32(e.pack({scores[first], scores[first + 1]}), e.bf16()));
  };
  for (int64_t depth = 0; depth < tokens / 16; ++depth) {
    const int64_t first = depth * 8; // Two tiles of 8 columns.
    Vals left{pair(first), pair(first + 2), pair(first + 4), pair(first + 6)};
    for (int64_t tile = 0; tile < value / 8; tile += 2) {
      Val at = e.offset(valueAt, depth * 16 * valueStride() + tile * 16);
      multiplyPair(next.sums, tile, left, loadMatrices(at, /*transposed=*/true));
    }
  }
  return next;
}

} // namespace epigraph::cuda
