// Choosing tokens. Meaning: dialects/epi/EpiSamplingOps.td.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_SAMPLING_H
#define EPIGRAPH_CODEGEN_REFERENCE_SAMPLING_H

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "codegen/reference/Tensor.h"
#include "runtime/base/Sampling.h"

namespace epigraph::reference {

/// x [rows, columns]; i32 [rows]: the column that is chosen for each row as `rows` says, or the
/// largest where `rows` is empty. Errors: InvalidArgument for another number of rows.
absl::StatusOr<Tensor> sample(const Tensor &x, absl::Span<const SamplingRow> rows);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_SAMPLING_H
