// Softmax over scores that come in steps, on the fragments of matrix products: a thread has
// elements of two rows, 8 apart, of which quads of lanes share each (WarpProducts.h says which
// columns).
#ifndef EPIGRAPH_CODEGEN_CUDA_RUNNINGSOFTMAX_H
#define EPIGRAPH_CODEGEN_CUDA_RUNNINGSOFTMAX_H

#include "codegen/cuda/Emitter.h"

#include <array>
#include <optional>

namespace epigraph::cuda {

/// A maximum of no scores: below every score, and a number, so that differences to it are numbers,
/// too.
inline constexpr double kNoMaximum = -1e30;

/// A value for each of the two rows.
using RowPair = std::array<Val, 2>;

/// What scores are weighed against each other: those of a row, or those of a column, where a thread
/// has elements of two neighbouring columns, which all lanes with the same remainder by 4 share.
enum class SoftmaxOf { Rows, Columns };

struct RunningSoftmax {
  RowPair maximum; ///< what weights are relative to, of scaled scores, in units of log2
  RowPair total;   ///< this thread's part of the sum of weights

  /// Before any score. A row that never sees one has the total 0.
  static RunningSoftmax initial(Emitter &e);

  /// Turns a step's scores into weights. The maximum follows the largest score once that is well
  /// above it: until then weights grow to 2^8, which costs no precision. Returns the factors for
  /// what has been summed with earlier weights, mostly 1.
  RowPair weigh(Vals &scores, double scale, SoftmaxOf of = SoftmaxOf::Rows);

  /// The sums of weights of whole rows; `sink`, if any, is a score (f32) that belongs to no column.
  RowPair finalTotals(Val sink) const;
};

/// Multiplies the elements of `sums` by their row's factor.
void scaleRows(Vals &sums, const RowPair &factors);
/// The same, left out where all factors of the warp are 1.
void scaleRowsIfNeeded(Vals &sums, const RowPair &factors);

/// Puts scores of columns past `last` of their row, and with a `window` those so many or more
/// before it, below all others.
void maskScores(Vals &scores, const RowPair &last, std::optional<int64_t> window);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_RUNNINGSOFTMAX_H
