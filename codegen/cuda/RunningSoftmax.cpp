#include "codegen/cuda/RunningSoftmax.h"

#include "codegen/cuda/WarpProducts.h"
#include "llvm/ADT/STLExtras.h"

#include <limits>
#include <numbers>

namespace epigraph::cuda {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
/// By how much the largest score may exceed the maximum, in units of log2.
constexpr double kSlack = 8;
/// Lanes that share a row.
constexpr int64_t kQuad = 4;

size_t rowOf(size_t element) { return element / 2 % 2; }

/// The largest of the row's scores in this thread, in few steps that wait for one another.
Val largest(const Vals &scores, size_t row) {
  Emitter &e = scores[0].owner();
  Vals rest;
  for (auto [i, score] : llvm::enumerate(scores))
    if (rowOf(i) == row)
      rest.push_back(score);
  while (rest.size() > 1) {
    Vals next;
    for (size_t i = 0; i + 1 < rest.size(); i += 2)
      next.push_back(e.maximum(rest[i], rest[i + 1]));
    if (rest.size() % 2)
      next.push_back(rest.back());
    rest = next;
  }
  return rest[0];
}

} // namespace

RunningSoftmax RunningSoftmax::initial(Emitter &e) {
  Val none = e.f32(kNoMaximum), zero = e.f32(0.0);
  return {{none, none}, {zero, zero}};
}

RowPair RunningSoftmax::weigh(Vals &scores, double scale) {
  Emitter &e = scores[0].owner();
  Val factor = e.f32(scale * std::numbers::log2e);
  RowPair rescale, minus;
  for (size_t row = 0; row < 2; ++row) {
    Val highest = e.warpMax(largest(scores, row), kQuad) * factor, before = maximum[row];
    Val moves = highest > before + e.f32(kSlack);
    maximum[row] = e.select(moves, highest, before);
    rescale[row] = e.select(moves, e.exp2(before - highest), e.f32(1.0));
    minus[row] = e.negate(maximum[row]);
  }
  std::array<RowPair, 2> sums; // Of each row those of even and of odd columns.
  for (auto [i, score] : llvm::enumerate(scores)) {
    score = e.exp2(e.fma(score, factor, minus[rowOf(i)]));
    Val &sum = sums[rowOf(i)][i % 2];
    sum = i < 4 ? score : sum + score;
  }
  for (size_t row = 0; row < 2; ++row)
    total[row] = e.fma(total[row], rescale[row], sums[row][0] + sums[row][1]);
  return rescale;
}

RowPair RunningSoftmax::finalTotals(Val sink) const {
  RowPair totals;
  for (size_t row = 0; row < 2; ++row) {
    Emitter &e = total[row].owner();
    totals[row] = e.warpSum(total[row], kQuad);
    if (sink)
      totals[row] = totals[row] + e.exp2(sink * e.f32(std::numbers::log2e) - maximum[row]);
  }
  return totals;
}

void scaleRows(Vals &sums, const RowPair &factors) {
  for (auto [i, sum] : llvm::enumerate(sums))
    sum = sum * factors[rowOf(i)];
}

void scaleRowsIfNeeded(Vals &sums, const RowPair &factors) {
  Emitter &e = sums[0].owner();
  Val changes = e.any(e.logicalOr(factors[0] != 1, factors[1] != 1));
  sums = e.ifValues(
      changes,
      [&] {
        Vals scaled = sums;
        scaleRows(scaled, factors);
        return scaled;
      },
      [&] { return sums; });
}

void maskScores(Vals &scores, const RowPair &last, std::optional<int64_t> window) {
  Emitter &e = scores[0].owner();
  for (auto [i, score] : llvm::enumerate(scores)) {
    Val column = columnOfSum(e, static_cast<int64_t>(i));
    Val isSeen = column <= last[rowOf(i)];
    if (window)
      isSeen = e.logicalAnd(isSeen, column + *window > last[rowOf(i)]);
    score = e.select(isSeen, score, e.f32(kNever));
  }
}

} // namespace epigraph::cuda
