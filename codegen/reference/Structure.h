// Operations that move elements and compute nothing. Meaning: dialects/epi/EpiDenseOps.td and
// EpiStructureOps.td.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_STRUCTURE_H
#define EPIGRAPH_CODEGEN_REFERENCE_STRUCTURE_H

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "codegen/reference/Tensor.h"

namespace epigraph::reference {

/// Dimension i of the result is dimension permutation[i] of `x`.
Tensor transpose(const Tensor &x, absl::Span<const int64_t> permutation);

/// Parts of `sizes` along `dim`, one after the other.
std::vector<Tensor> split(const Tensor &x, int64_t dim, absl::Span<const int64_t> sizes);

/// `parts`, equal but for `dim`, one after the other along it.
/// Errors: InvalidArgument when they differ elsewhere.
absl::StatusOr<Tensor> concat(absl::Span<const Tensor *const> parts, int64_t dim);

/// Rows [begin, end).
Tensor sliceRows(const Tensor &x, int64_t begin, int64_t end);

/// Indices [begin, end) of dimension `dim`.
Tensor sliceDim(const Tensor &x, int64_t dim, int64_t begin, int64_t end);

/// Row i of the result is row rows[i] of `x`. Errors: InvalidArgument for a row that is not there.
absl::StatusOr<Tensor> selectRows(const Tensor &x, absl::Span<const int32_t> rows);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_STRUCTURE_H
