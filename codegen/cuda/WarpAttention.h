// The inner step of attention by the matrix products of a warp: 16 queries against a few keys, a
// softmax with a running maximum and sum for each query, and the weighted sum of values.
#ifndef EPIGRAPH_CODEGEN_CUDA_WARPATTENTION_H
#define EPIGRAPH_CODEGEN_CUDA_WARPATTENTION_H

#include "codegen/cuda/RunningSoftmax.h"
#include "codegen/cuda/SharedRows.h"

namespace epigraph::cuda {

/// What a warp carries from one step to the next: the softmax, and the thread's elements of the
/// weighted sums of values, 4 for each 8 columns (WarpProducts.h).
struct WarpState {
  RunningSoftmax softmax;
  Vals sums;

  Vals pack() const;
  static WarpState unpack(llvm::ArrayRef<Val> values);
};

/// Sizes in elements, of bf16, multiples of 16. Rows in shared memory are padded (paddedRowBytes).
struct WarpAttention {
  Emitter &e;
  int64_t key, value;
  int64_t tokens; ///< of one step
  double scale;

  static constexpr int64_t kQueries = 16;

  int64_t keyStride() const { return paddedRowBytes(key * 2); }
  int64_t valueStride() const { return paddedRowBytes(value * 2); }
  /// Shared memory of the keys and then the values of a step.
  int64_t stepBytes() const { return tokens * (keyStride() + valueStride()); }

  WarpState initial() const;

  /// The scores, unscaled, of the queries at `queries` and the keys at `keys`, both in shared
  /// memory.
  Vals score(Val queries, Val keys) const;

  /// Adds a step: scores that a query should not see are minus infinity, and values of tokens
  /// without weight are finite.
  WarpState add(WarpState state, Vals scores, Val values) const;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WARPATTENTION_H
