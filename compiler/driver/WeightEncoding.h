// From the float32 values that the weight program gives to the bytes that kernels read.
#ifndef EPIGRAPH_COMPILER_DRIVER_WEIGHTENCODING_H
#define EPIGRAPH_COMPILER_DRIVER_WEIGHTENCODING_H

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "codegen/reference/Tensor.h"
#include "codegen/reference/Workers.h"
#include "runtime/artifact/DType.h"

namespace epigraph {

/// The packed layout of a matrix [..., N, K]: panels of `columns` rows of the matrix, contiguous
/// along K in groups of `depth`, padded with zeros (see #exec.panel).
struct PanelShape {
  int64_t columns;
  int64_t depth;
};

/// Takes the next bytes of a weight.
using ByteSink = std::function<absl::Status(absl::Span<const uint8_t>)>;

/// Writes `values` row-major as `dtype`, some of them at a time: float32 rounds to bf16 and FP8 to
/// nearest, ties to even.
absl::Status encodeRowMajor(const reference::Tensor &values, DType dtype,
                            const reference::Workers &workers, const ByteSink &sink);

/// Writes `values`, of rank 2 or more, in panels, some of them at a time. `dtype` is F32, BF16
/// or F8_E4M3.
absl::Status encodePanels(const reference::Tensor &values, DType dtype, PanelShape panel,
                          const reference::Workers &workers, const ByteSink &sink);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_WEIGHTENCODING_H
