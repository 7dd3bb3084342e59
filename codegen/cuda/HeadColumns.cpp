#include "codegen/cuda/HeadColumns.h"

#include "codegen/cuda/Hopper.h"

#include "llvm/ADT/STLExtras.h"

#include <array>
#include <limits>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kRows = 16; ///< of a product
constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr int64_t kFloatBytes = sizeof(float);

size_t headOf(size_t element) { return element % 2; }

/// An 8x8 matrix of 16-bit elements that a warp has, transposed.
Val transposeMatrix(Val matrix) {
  Emitter &e = matrix.owner();
  return e.ptx({e.i32()}, "movmatrix.sync.aligned.m8n8.trans.b16 $0, $1;", "=r,r", matrix)[0];
}

/// The row that element `element` of the thread is in.
Val rowOfElement(Emitter &e, size_t element) {
  return e.lane() / 4 + static_cast<int64_t>(element / 4 * kRows + element / 2 % 2 * 8);
}

} // namespace

WarpState HeadColumns::initial() const {
  Emitter &e = warp.e;
  return {RunningSoftmax::initial(e), Vals(static_cast<size_t>(warp.value / 4), e.f32(0.0))};
}

Vals HeadColumns::load(Val queries) const {
  Emitter &e = warp.e;
  Val at = e.offset(queries, e.lane() % 8 * warp.keyStride() + e.lane() / 8 * 16);
  Vals all;
  for (int64_t column = 0; column < warp.key; column += 32)
    all.append(loadMatrices(e.offset(at, column * 2), /*transposed=*/false));
  return all;
}

Vals HeadColumns::score(ArrayRef<Val> queries, Val keys) const {
  Emitter &e = warp.e;
  Val at = e.offset(keys, e.lane() % 16 * warp.keyStride() + e.lane() / 16 * 16);
  Vals scores;
  for (int64_t token = 0; token < warp.tokens; token += kRows) {
    // Each product waits for the one before of the same sums.
    std::array<Vals, 2> sums{Vals(4, e.f32(0.0)), Vals(4, e.f32(0.0))};
    for (size_t step = 0; step < queries.size() / 2; ++step) {
      Val from = e.offset(at, token * warp.keyStride() + static_cast<int64_t>(step) * 32);
      Vals &sum = sums[step % 2];
      sum = multiplyWarp(sum, loadMatrices(from, /*transposed=*/false), queries.slice(step * 2, 2));
    }
    for (auto [even, odd] : llvm::zip_equal(sums[0], sums[1]))
      scores.push_back(even + odd);
  }
  return scores;
}

void HeadColumns::mask(Vals &scores, Val last, std::optional<int64_t> window) const {
  Emitter &e = warp.e;
  for (auto [i, score] : llvm::enumerate(scores)) {
    Val token = rowOfElement(e, i), isSeen = token <= last;
    if (window)
      isSeen = e.logicalAnd(isSeen, token + *window > last);
    score = e.select(isSeen, score, e.f32(kNever));
  }
}

WarpState HeadColumns::add(WarpState state, Vals scores, Val values) const {
  Emitter &e = warp.e;
  const RowPair factors = state.softmax.weigh(scores, warp.scale, SoftmaxOf::Columns);
  for (auto [i, sum] : llvm::enumerate(state.sums))
    sum = sum * factors[headOf(i)];
  // Tokens first, then 8 tokens after, 8 columns after them: transposed, columns are rows.
  Val row = e.lane() % 8 + e.lane() / 16 * 8;
  Val at = e.offset(values, row * warp.valueStride() + e.lane() / 8 % 2 * 16);
  for (int64_t token = 0; token < warp.tokens; token += kRows) {
    Vals weights;
    for (size_t i = static_cast<size_t>(token) / 4, end = i + 4; i < end; i += 2)
      weights.push_back(transposeMatrix(e.packHalves(scores[i], scores[i + 1], e.bf16())));
    for (int64_t column = 0; column < warp.value; column += kRows) {
      Val from = e.offset(at, token * warp.valueStride() + column * 2);
      auto sums = MutableArrayRef<Val>(state.sums).slice(static_cast<size_t>(column / 4), 4);
      llvm::copy(multiplyWarp(sums, loadMatrices(from, /*transposed=*/true), weights),
                 sums.begin());
    }
  }
  return state;
}

Val HeadColumns::sumOverRows(Val value) {
  for (int64_t distance = 4; distance < 32; distance *= 2)
    value = value + value.owner().shuffleXor(value, distance);
  return value;
}

void HeadColumns::store(ArrayRef<Val> sums, Val to, int64_t stride) const {
  Emitter &e = warp.e;
  for (auto [i, sum] : llvm::enumerate(sums)) {
    Val head = e.lane() % 4 * 2 + static_cast<int64_t>(headOf(i));
    e.store(sum, e.at(e.at(to, head, stride), rowOfElement(e, i), kFloatBytes));
  }
}

} // namespace epigraph::cuda
