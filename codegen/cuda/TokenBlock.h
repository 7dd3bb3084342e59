// Attention of one token's query heads of one key-value head, up to 16 of them as the rows of one
// product, or up to 8 as its columns, to pages of its context, whose time is that of reading the
// cache. Teams of a few warps take a page each, shared by tokens: every warp streams its own share
// through its own ring in shared memory, with a softmax of its own, so that none waits for another
// until the end, when their results are put together.
#ifndef EPIGRAPH_CODEGEN_CUDA_TOKENBLOCK_H
#define EPIGRAPH_CODEGEN_CUDA_TOKENBLOCK_H

#include "codegen/cuda/GroupedQueries.h"
#include "codegen/cuda/HeadColumns.h"
#include "codegen/cuda/PagedCache.h"

namespace epigraph::cuda {

struct TokenForm {
  int64_t warps;
  int64_t team;   ///< warps that share a page: 4 or 2
  int64_t stages; ///< steps of a warp's ring: all but one are on their way while one is computed
};

/// Where things lie in a block's shared memory. The results of the warps take the place of their
/// rings in the end.
struct TokenLayout : TokenForm {
  TokenLayout(const GroupedQueries &problem, const TokenForm &form);

  static constexpr int64_t kRows = WarpAttention::kQueries;

  int64_t threads() const { return warps * 32; }
  int64_t teams() const { return warps / team; }
  /// Tokens of a page that a warp takes.
  int64_t tokens() const { return kPageTokens / team; }
  int64_t ring() const { return queryBytes; }
  int64_t ringBytes() const { return stages * stepBytes; } ///< of a warp
  int64_t sums() const { return queryBytes; }
  int64_t maxima() const;
  int64_t totals() const;
  int64_t bytes() const;

  int64_t rows;        ///< query heads of a block, at most
  bool hasHeadColumns; ///< whether they are columns of products (HeadColumns.h)
  int64_t queryBytes, stepBytes;
  int64_t sumStride; ///< between the rows of a warp's sums
};

/// What the threads of a team attend to: pages first, first + step, ... below `end` of the context
/// of `token`.
struct TokenPages {
  Val token, sequence, position;
  Val first, end;
  int64_t step;
};

/// Weighted sums of values, of neighbouring columns of a row, and the total of the weights, which
/// are relative to a maximum (RunningSoftmax.h).
struct RowSums {
  Val maximum, total;
  Vals sums;

  /// Of what all of `parts` are of.
  static RowSums of(llvm::ArrayRef<RowSums> parts);
  /// The weighted means.
  Vals means() const;
};

class TokenBlock {
public:
  TokenBlock(KernelFrame &frame, const GroupedQueries &problem, const TokenLayout &layout);

  /// Attends to `pages` by query heads [firstHead, firstHead + kRows) of `keyHead`, of which
  /// headCount() are there, and leaves what the warps have found in shared memory. Waits for the
  /// kernel before; `beforeWait` emits what else can be done by then.
  void attend(
      const TokenPages &pages, Val keyHead, Val firstHead,
      llvm::function_ref<void()> beforeWait = [] {});

  Val headCount() const { return heads; }

  /// What all warps have found of `count` columns of row `row` from `column` on: a multiple of 2;
  /// of none only the maximum and the total.
  RowSums sumsOf(Val row, Val column, int64_t count);

private:
  void findPages();
  void firstCopies(bool ofOld);
  void meetWithQueries();
  WarpState attendPages();
  Val physicalAt(Val step);
  Val stageAddress(Val stage);
  Val firstOfWarp();
  GlobalRows keysOf(Val physical);
  GlobalRows valuesOf(Val physical);
  void startStep(Val step, Val stage, Val physical);
  void copyStep(Val page, Val stage, Val physical);
  void prefetchStep(Val physical);
  WarpState addStep(Val page, Val stage, llvm::ArrayRef<Val> carried);
  void shareResult(const WarpState &state);
  void shareRows(const WarpState &state);
  void shareColumns(const WarpState &state);
  Val placeOfRow(int64_t from, Val row);

  KernelFrame &frame;
  Emitter &e;
  const GroupedQueries &problem;
  const TokenLayout &layout;
  WarpAttention warp;
  HeadColumns columns;
  Vals queries; ///< where they are columns
  Val shared;
  TokenPages pages;
  Val keyHead, heads;
  Val table, steps;   ///< of the sequence's pages; of this warp
  Vals firstPhysical; ///< the pages of the ring's first steps
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_TOKENBLOCK_H
