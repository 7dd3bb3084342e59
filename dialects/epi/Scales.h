// The numbers of quantization by blocks: what a block is, how its scale comes to be, and how many
// scales a tensor has. Shared by verifiers, passes, the reference and kernels.
#ifndef EPIGRAPH_DIALECTS_EPI_SCALES_H
#define EPIGRAPH_DIALECTS_EPI_SCALES_H

#include <cstdint>

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"

namespace epigraph::epi {

/// Side of the blocks of a quantized weight, and columns of those of an activation (DeepSeek-V3).
inline constexpr int64_t kScaleBlock = 128;

/// The largest finite f8E4M3FN.
inline constexpr float kLargestF8E4M3 = 448.0f;

/// A block of activations is scaled as if its largest magnitude were at least this, so that zeros
/// do not divide by zero.
inline constexpr float kLeastAmax = 1e-4f;

/// The shape of the scales of a tensor of `shape`, of rank 2 or 3, cut along its last two
/// dimensions into blocks of `block` elements; an unknown extent gives one.
llvm::SmallVector<int64_t, 3> scaleShape(llvm::ArrayRef<int64_t> shape,
                                         llvm::ArrayRef<int64_t> block);

} // namespace epigraph::epi

#endif // EPIGRAPH_DIALECTS_EPI_SCALES_H
