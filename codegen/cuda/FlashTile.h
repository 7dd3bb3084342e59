// One tile of causal attention: the queries of one head and up to kAttentionTile tokens of a
// sequence, against the keys and values of its pages, which pass through shared memory two at a
// time.
#ifndef EPIGRAPH_CODEGEN_CUDA_FLASHTILE_H
#define EPIGRAPH_CODEGEN_CUDA_FLASHTILE_H

#include "codegen/cuda/AttentionItems.h"
#include "codegen/cuda/WarpAttention.h"

#include <optional>

namespace epigraph::cuda {

/// Starts the copies of the keys and values of page `page` (counted in the sequence) to `keys` and
/// `values`. Values of tokens from `tokens` on must become zeroes: stale memory may hold NaN.
using LoadPage = llvm::function_ref<void(Val page, Val tokens, Val keys, Val values)>;

class FlashTile {
public:
  static constexpr int64_t kThreads = kAttentionTile / WarpAttention::kQueries * 32;

  /// Uses the first `sharedBytes()` of the block's shared memory. `warp`: sizes, its step a page.
  /// `window`: positions that a token sees at most.
  FlashTile(const WarpAttention &warp, std::optional<int64_t> window)
      : e(warp.e), warp(warp), window(window), shared(e.sharedMemory()),
        row(e.warp() * WarpAttention::kQueries + e.lane() / 4) {}

  static int64_t sharedBytes(int64_t key, int64_t value) {
    const int64_t keyStride = paddedRowBytes(key * 2), valueStride = paddedRowBytes(value * 2);
    return kAttentionTile * keyStride + 2 * kPageTokens * (keyStride + valueStride);
  }

  /// Where the queries of the tile go, rows of `keyStride`; rows past the item's tokens are zero.
  Val queries() const { return shared; }
  CopyThreads threads() const { return {e.threadId(), kThreads}; }

  /// Attends for the item; its queries must have been stored or their copies started. `sink`, if
  /// any, is the head's (f32), a score that belongs to no position.
  void attend(const ItemValues &item, Val sink, LoadPage loadPage);

  /// Gives the result, after attend: `store` gets a query's row in the tile and a pair of
  /// neighbouring columns of the result, for rows that are tokens of `item`.
  void forResult(const ItemValues &item,
                 llvm::function_ref<void(Val row, Val column, Val first, Val second)> store);

private:
  Val stageAddress(Val stage);
  void startPage(const ItemValues &item, Val page, LoadPage loadPage, Val stage);
  Vals mask(const ItemValues &item, Val page, const Vals &scores);

  Emitter &e;
  WarpAttention warp;
  std::optional<int64_t> window;
  Val shared;
  Val row; ///< of the thread's first query in the tile; its second is 8 on
  WarpState result;
  RowPair totals;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_FLASHTILE_H
