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

/// x / sqrt(mean(x^2) + eps) * w over the last dimension; squares are added in ascending order.
Tensor rmsNorm(const Tensor &x, const Tensor &w, double eps);

/// Rotates the pairs of the last dimension by the row of `table` at each row's position.
/// `positions` is [rows].
absl::StatusOr<Tensor> rope(const Tensor &x, const Tensor &table,
                            absl::Span<const int32_t> positions, bool interleaved);

absl::StatusOr<Tensor> add(const Tensor &lhs, const Tensor &rhs);
absl::StatusOr<Tensor> mul(const Tensor &lhs, const Tensor &rhs);

/// x / (1 + exp(-x)).
Tensor silu(const Tensor &x);

/// Every element rounded to the nearest bfloat16, ties to even.
Tensor roundToBFloat16(const Tensor &x);

/// InvalidArgument naming `what` unless `rows` == `expected`.
absl::Status requireRows(const char *what, int64_t rows, int64_t expected);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_DENSE_H
