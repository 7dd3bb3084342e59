// Which tokens of a row top-k and top-p keep: all up to some place in the order of falling logits
// (of equal ones, of rising columns). The search for that place reads the row several times.
#ifndef EPIGRAPH_CODEGEN_CUDA_KEPTTOKENS_H
#define EPIGRAPH_CODEGEN_CUDA_KEPTTOKENS_H

#include "codegen/cuda/ClusterRow.h"

namespace epigraph::cuda {

/// The longest row for which sums of counts and masses fit one i64.
inline constexpr int64_t kMostSampledColumns = int64_t{1} << 18;

/// What a kernel reads of a SamplingRow; all values are equal in all threads of the cluster.
struct RowChoice {
  Val key;          ///< i64
  Val scale, reach; ///< f32
  Val topP;         ///< i64
  Val topK;         ///< i32
};

/// The largest logit of a row: its order key, and its value.
struct LargestLogit {
  Val key, value;
};

class KeptTokens {
public:
  /// Shared memory of a block, aligned to 8.
  static int64_t sharedBytes(const RowSharing &sharing);

  /// `shared`: that memory; equal offsets in all blocks of the cluster.
  KeptTokens(const ClusterRow &row, const RowChoice &how, const LargestLogit &most, Val shared);

  /// Finds the place of the last token that is kept. By all threads of the cluster, once.
  void find();

  /// Whether top-k and top-p keep `element`, after find().
  Val keeps(const ClusterRow::Element &element) const { return isUpTo(last, element); }

private:
  /// A place in the order: how far the order key lies below the largest (unsigned), and the column.
  struct Place {
    Val distance, column;
  };
  /// A search for the place up to which counts, or masses, add up to `need`.
  struct Search;

  Val distanceOf(const ClusterRow::Element &element) const;
  Place earlier(const Place &a, const Place &b) const;
  Val isUpTo(const Place &place, const ClusterRow::Element &element) const;
  struct Counted {
    Val sums; ///< i64: lane d has the counts and masses of the tokens with digit d; others 0
    Val listed, isListed;
  };
  Val digitOf(const Search &search, const ClusterRow::Element &element, Val &isLeft);
  Val addTokens(const Search &search);
  Counted countDigits(const Search &search);
  Search narrowed(const Search &search, Val sums);

  const ClusterRow &row;
  Emitter &e;
  const RowChoice &how;
  const LargestLogit &most;
  // In shared memory.
  Val ownSums;   ///< of the thread: [kSums], each for all threads of the block side by side
  Val firstSums; ///< of the thread of the first warp with the same lane
  Val totals;    ///< of all blocks
  Val list;      ///< of the thread, laid out like sums
  Place last;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_KEPTTOKENS_H
