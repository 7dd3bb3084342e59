// The inner step of attention by the matrix products of a warp: 16 queries against a few keys, a
// softmax with a running maximum and sum for each query, and the weighted sum of values.
#ifndef EPIGRAPH_CODEGEN_CUDA_WARPATTENTION_H
#define EPIGRAPH_CODEGEN_CUDA_WARPATTENTION_H

#include "codegen/cuda/SharedRows.h"

namespace epigraph::cuda {

/// Below every score of a position that a query sees, and a number.
inline constexpr double kNoScore = -1e30;

/// What a warp carries from one step to the next. A thread has rows lane / 4 and lane / 4 + 8: of
/// both the maximum of scaled scores (in units of log2), its part of the sum of weights (quads of
/// lanes share a row), and its elements of the sums, 4 for each 8 columns.
struct WarpState {
  Val maximum[2], total[2];
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
  /// memory: element 4 j + 2 h + i is row lane / 4 + 8 h and column columnOf(4 j + 2 h + i).
  Vals score(Val queries, Val keys) const;
  Val columnOf(int64_t element) const;

  /// Adds a step: scores that no query should see are minus infinity, and values of tokens without
  /// weight are finite.
  WarpState add(const WarpState &state, Vals scores, Val values) const;

private:
  WarpState weigh(const WarpState &state, Vals &scores) const;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WARPATTENTION_H
