// Grouped-query attention over a paged cache, as both of its kernels read it: an entry of the cache
// has the keys of all key-value heads and then their values.
#ifndef EPIGRAPH_CODEGEN_CUDA_GROUPEDQUERIES_H
#define EPIGRAPH_CODEGEN_CUDA_GROUPEDQUERIES_H

#include "codegen/cuda/AttentionItems.h"
#include "codegen/cuda/AttentionMerge.h"
#include "codegen/cuda/QueryRotation.h"
#include "codegen/cuda/WarpAttention.h"

#include <optional>

namespace epigraph::cuda {

/// An epi.attention. Sizes in elements.
struct GroupedQueries {
  TensorView q;
  std::optional<TensorView> sinks;
  mlir::BlockArgument cache;
  unsigned result; ///< index of the kernel's result
  mlir::Type resultType;
  int64_t heads, keyHeads, key, value;
  double scale;
  std::optional<int64_t> window; ///< positions that a token sees at most
  /// The last elements of each query, [rows, heads, elements], where `q` has only those before.
  std::optional<TensorView> qEnd = std::nullopt;
  /// What is to be done to `qEnd` first.
  std::optional<QueryRotation> rotation = std::nullopt;
  /// Whether a value is the first part of its key, as the latent vector of an entry is.
  bool valuesInKeys = false;

  int64_t headsOfKey() const { return heads / keyHeads; }
  int64_t entryBytes() const { return keyHeads * (valuesInKeys ? key : key + value) * 2; }

  /// `tokens` keys of `keyHead` from entry `token` of physical page `page` on, and their values.
  GlobalRows keys(KernelFrame &frame, Val page, Val token, Val keyHead, int64_t tokens) const;
  GlobalRows values(KernelFrame &frame, Val page, Val token, Val keyHead, int64_t tokens) const;

  /// The sink of `head` (f32); nothing without sinks.
  Val sink(KernelFrame &frame, Val head) const;

  /// Writes a pair of neighbouring columns of the result.
  void store(KernelFrame &frame, Val row, Val head, Val column, Val first, Val second) const;
};

/// Adds the launches of a batch with one token of each sequence: a block takes one item and the
/// query heads of one key-value head, then partial results are merged.
void addTokenAttention(KernelAssembly &assembly, const GroupedQueries &problem);

/// Whether tiles of tokens can be computed by products of warpgroups: sizes are multiples of 64
/// that fit shared memory, and a tensor map can describe the queries.
bool fitsWarpgroups(const GroupedQueries &problem);

/// Adds the launch that attends for tiles of tokens by products of warpgroups.
void addWarpgroupAttention(KernelAssembly &assembly, const GroupedQueries &problem);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_GROUPEDQUERIES_H
