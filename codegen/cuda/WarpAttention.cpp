#include "codegen/cuda/WarpAttention.h"

#include "codegen/cuda/WarpProducts.h"

#include <limits>
#include <numbers>

using namespace mlir;

namespace epigraph::cuda {

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
  Vals scores(static_cast<size_t>(tokens / 2), e.f32(0.0));
  multiplyTiles(e, scores, {queries, keyStride()}, {keys, keyStride()}, key);
  return scores;
}

Val WarpAttention::columnOf(int64_t element) const { return columnOfSum(e, element); }

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
  multiplyByRows(e, next.sums, scores, {values, valueStride()});
  return next;
}

} // namespace epigraph::cuda
