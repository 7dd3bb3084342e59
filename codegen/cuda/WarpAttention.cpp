#include "codegen/cuda/WarpAttention.h"

#include "codegen/cuda/WarpProducts.h"
#include "runtime/artifact/KernelAbi.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace epigraph::cuda {

Vals WarpState::pack() const {
  Vals all{softmax.maximum[0], softmax.maximum[1], softmax.total[0], softmax.total[1]};
  all.append(sums.begin(), sums.end());
  return all;
}

WarpState WarpState::unpack(ArrayRef<Val> values) {
  WarpState state{{{values[0], values[1]}, {values[2], values[3]}}, {}};
  state.sums.assign(values.begin() + 4, values.end());
  return state;
}

WarpState WarpAttention::initial() const {
  return {RunningSoftmax::initial(e), Vals(static_cast<size_t>(value / 2), e.f32(0.0))};
}

Vals WarpAttention::score(Val queries, Val keys) const {
  auto multiply = [&](int64_t first, int64_t depth) {
    Vals scores(static_cast<size_t>(tokens / 2), e.f32(0.0));
    multiplyTiles(e, scores, SharedTile{queries, keyStride()}.at(0, first * 2),
                  SharedTile{keys, keyStride()}.at(0, first * 2), depth);
    return scores;
  };
  // Each product waits for the one before of the same scores: of few, there are two at a time.
  const bool isSplit = tokens < kPageTokens && key % 32 == 0;
  Vals scores = multiply(0, isSplit ? key / 2 : key);
  if (isSplit)
    for (auto [score, other] : llvm::zip_equal(scores, multiply(key / 2, key / 2)))
      score = score + other;
  return scores;
}

WarpState WarpAttention::add(WarpState state, Vals scores, Val values) const {
  scaleRows(state.sums, state.softmax.weigh(scores, scale));
  multiplyByRows(e, state.sums, leftOperand(scores), {values, valueStride()});
  return state;
}

} // namespace epigraph::cuda
