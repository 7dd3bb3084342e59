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

/// Which of the thread's two rows, or columns, an element is in, and which it is of the other two.
size_t placeOf(SoftmaxOf of, size_t element) {
  return of == SoftmaxOf::Rows ? rowOf(element) : element % 2;
}
size_t otherPlaceOf(SoftmaxOf of, size_t element) {
  return of == SoftmaxOf::Rows ? element % 2 : rowOf(element);
}

/// The largest of the scores at `place` in this thread, in few steps that wait for one another.
Val largest(const Vals &scores, SoftmaxOf of, size_t place) {
  Emitter &e = scores[0].owner();
  Vals rest;
  for (auto [i, score] : llvm::enumerate(scores))
    if (placeOf(of, i) == place)
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

/// The largest that any lane of a row, or column, has.
Val largestOfLanes(Val value, SoftmaxOf of) {
  Emitter &e = value.owner();
  if (of == SoftmaxOf::Rows)
    return e.warpMax(value, kQuad);
  for (int64_t distance = kQuad; distance < 32; distance *= 2)
    value = e.maximum(value, e.shuffleXor(value, distance));
  return value;
}

} // namespace

RunningSoftmax RunningSoftmax::initial(Emitter &e) {
  Val none = e.f32(kNoMaximum), zero = e.f32(0.0);
  return {{none, none}, {zero, zero}};
}

RowPair RunningSoftmax::weigh(Vals &scores, double scale, SoftmaxOf of) {
  Emitter &e = scores[0].owner();
  Val factor = e.f32(scale * std::numbers::log2e);
  RowPair rescale, minus;
  for (size_t place = 0; place < 2; ++place) {
    Val highest = largestOfLanes(largest(scores, of, place), of) * factor;
    Val before = maximum[place], moves = highest > before + e.f32(kSlack);
    maximum[place] = e.select(moves, highest, before);
    rescale[place] = e.select(moves, e.exp2(before - highest), e.f32(1.0));
    minus[place] = e.negate(maximum[place]);
  }
  std::array<RowPair, 2> sums; // Of each row those of even and of odd columns, or the other way.
  for (auto [i, score] : llvm::enumerate(scores)) {
    score = e.exp2(e.fma(score, factor, minus[placeOf(of, i)]));
    Val &sum = sums[placeOf(of, i)][otherPlaceOf(of, i)];
    sum = i < 4 ? score : sum + score;
  }
  for (size_t place = 0; place < 2; ++place)
    total[place] = e.fma(total[place], rescale[place], sums[place][0] + sums[place][1]);
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
