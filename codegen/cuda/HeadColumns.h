// The inner step of attention of up to 8 query heads by the matrix products of a warp, as
// WarpAttention.h has that of 16: heads are the columns of products, of which there are 8, and
// tokens, then columns of values, their rows. So no product is half of rows that are not there.
//
// A thread has elements of two heads, 2 (lane % 4) and the next, which the lanes with the same
// remainder share; element 4 j + 2 h + i is of head i of them and of row 16 j + lane / 4 + 8 h.
#ifndef EPIGRAPH_CODEGEN_CUDA_HEADCOLUMNS_H
#define EPIGRAPH_CODEGEN_CUDA_HEADCOLUMNS_H

#include "codegen/cuda/WarpAttention.h"

namespace epigraph::cuda {

struct HeadColumns {
  const WarpAttention &warp; ///< sizes

  static constexpr int64_t kHeads = 8;

  /// Whether `heads` query heads of `key` elements can be columns.
  static bool fit(int64_t heads, int64_t key) { return heads <= kHeads && key % 32 == 0; }

  WarpState initial() const;

  /// The queries at `queries`, in shared memory, as the right operands of products.
  Vals load(Val queries) const;

  /// The scores, unscaled, of queries that have been loaded and the keys at `keys`.
  Vals score(llvm::ArrayRef<Val> queries, Val keys) const;

  /// As maskScores: of tokens past `last` and, with a `window`, of those so many or more before it.
  void mask(Vals &scores, Val last, std::optional<int64_t> window) const;

  /// As WarpAttention::add; of the softmax, pairs are the thread's two heads.
  WarpState add(WarpState state, Vals scores, Val values) const;

  /// The sum over all rows of a value that the lanes have of each head.
  static Val sumOverRows(Val value);

  /// Stores the sums of values, [heads][columns] of f32, to rows at `to`, `stride` bytes apart.
  void store(llvm::ArrayRef<Val> sums, Val to, int64_t stride) const;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_HEADCOLUMNS_H
