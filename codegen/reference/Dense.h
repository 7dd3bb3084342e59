// The dense operations of `epi`, one plain function each. Meaning and shapes:
// dialects/epi/EpiDenseOps.td. Errors (InvalidArgument) are for what types cannot say: row counts
// that differ, values out of range.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_DENSE_H
#define EPIGRAPH_CODEGEN_REFERENCE_DENSE_H

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "codegen/reference/Tensor.h"
#include "codegen/reference/Workers.h"

namespace epigraph::reference {

/// [rows, K] and [N, K] to [rows, N]; k ascending in one accumulator.
Tensor linear(const Tensor &x, const Tensor &w, const Workers &workers);

/// [rows, heads, K] and [heads, N, K] to [rows, heads, N]; k ascending in one accumulator.
Tensor headLinear(const Tensor &x, const Tensor &w, const Workers &workers);

/// ids [rows], table [vocabulary, hidden].
absl::StatusOr<Tensor> embedding(const Tensor &ids, const Tensor &table);

/// x / sqrt(mean(x^2) + eps) * w over the last dimension (of each head, where there are heads);
/// squares are added in ascending order.
Tensor rmsNorm(const Tensor &x, const Tensor &w, double eps);

/// Rotates the pairs of the first elements of the last dimension, as many as `table` has columns,
/// by its row at each row's position; the rest stays. `positions` is [rows].
absl::StatusOr<Tensor> rope(const Tensor &x, const Tensor &table,
                            absl::Span<const int32_t> positions, bool interleaved);

/// `rhs` has the shape of `lhs`, or is [columns] and meets every row, or is [rows, 1] and meets all
/// columns of its row.
absl::StatusOr<Tensor> add(const Tensor &lhs, const Tensor &rhs);
absl::StatusOr<Tensor> mul(const Tensor &lhs, const Tensor &rhs);

/// x / (1 + exp(-x)).
Tensor silu(const Tensor &x);

/// 1 / (1 + exp(-x)).
Tensor sigmoid(const Tensor &x);

/// exp(x) / sum(exp(x)) over the last dimension, the maximum taken off first.
Tensor softmax(const Tensor &x);

/// The numbers of `#epi.clamp`.
struct SwigluClamp {
  double alpha;
  double limit;
};

/// (u + 1) * g / (1 + exp(-alpha g)) with g = min(gate, limit) and u = clamp(up, -limit, limit).
absl::StatusOr<Tensor> clampedSwiglu(const Tensor &gate, const Tensor &up,
                                     const SwigluClamp &clamp);

/// Every element rounded to the nearest bfloat16, ties to even.
Tensor roundToBFloat16(const Tensor &x);

/// InvalidArgument naming `what` unless `rows` == `expected`.
absl::Status requireRows(const char *what, int64_t rows, int64_t expected);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_DENSE_H
