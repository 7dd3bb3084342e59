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
  /// Blocks that share the query heads of a key-value head, where these are rows of products of a
  /// warp.
  int64_t blocksOfKey() const { return llvm::divideCeil(headsOfKey(), WarpAttention::kQueries); }
  /// Of the blocks of all key-value heads, one after the other: the first query head of `block`.
  Val firstHeadOf(Val block) const {
    return block / blocksOfKey() * headsOfKey() + block % blocksOfKey() * WarpAttention::kQueries;
  }
  int64_t entryBytes() const { return keyHeads * (valuesInKeys ? key : key + value) * 2; }

  /// `tokens` keys of `keyHead` from entry `token` of physical page `page` on, and their values.
  GlobalRows keys(KernelFrame &frame, Val page, Val token, Val keyHead, int64_t tokens) const;
  GlobalRows values(KernelFrame &frame, Val page, Val token, Val keyHead, int64_t tokens) const;

  /// Copies query heads [head, head + 16) of token `token` to rows at `to`, `stride` bytes apart,
  /// of which `heads` are there (copyRows).
  void copyQueries(KernelFrame &frame, const CopyThreads &threads, Val token, Val head, Val heads,
                   Val to, int64_t stride) const;
  /// Rotates them there, if they are to be, by all threads of the block, which meet.
  void rotateQueries(KernelFrame &frame, const CopyThreads &threads, Val position, Val at,
                     int64_t stride) const;

  /// The first page that a token at `position` sees something of.
  Val firstPage(Emitter &e, Val position) const;

  /// The sink of `head` (f32); nothing without sinks.
  Val sink(KernelFrame &frame, Val head) const;
  /// Its weight relative to `maximum` (RunningSoftmax.h), or 0.
  Val sinkWeight(KernelFrame &frame, Val head, Val maximum) const;

  /// Writes `values`, 2 or 4 neighbouring columns of the result from `column` on, a multiple of as
  /// many.
  void store(KernelFrame &frame, Val row, Val head, Val column, llvm::ArrayRef<Val> values) const;
};

/// Adds the launches of a batch with one token of each sequence: a block takes one item and the
/// query heads of one key-value head, then partial results are merged.
void addTokenAttention(KernelAssembly &assembly, const GroupedQueries &problem);

/// The most rows of a launch for which clusters attend (addClusterAttention); 0: of none.
int64_t mostClusterRows(const CudaTarget &target, const GroupedQueries &problem);

/// Adds the launch of a batch of up to mostClusterRows tokens: a cluster of blocks shares a token's
/// context and puts together what they find.
void addClusterAttention(KernelAssembly &assembly, const GroupedQueries &problem);

/// Whether tiles of tokens can be computed by products of warpgroups: sizes are multiples of 64
/// that fit shared memory, and a tensor map can describe the queries.
bool fitsWarpgroups(const GroupedQueries &problem);

/// Adds the launch that attends for tiles of tokens by products of warpgroups.
void addWarpgroupAttention(KernelAssembly &assembly, const GroupedQueries &problem);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_GROUPEDQUERIES_H
