// The operations on quantized values, one plain function each. Meaning and shapes:
// dialects/epi/EpiQuantOps.td. Quantized tensors hold the values of their 8-bit floats.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_QUANTIZATION_H
#define EPIGRAPH_CODEGEN_REFERENCE_QUANTIZATION_H

#include "codegen/reference/Tensor.h"

namespace epigraph::reference {

/// Elements of a block along the last two dimensions.
struct ScaleBlock {
  int64_t rows;
  int64_t columns;
};

/// x [..., N, K] times the scale of each element's block, in float32.
Tensor dequantize(const Tensor &x, const Tensor &scales, ScaleBlock block);

struct Quantized {
  Tensor values; ///< [rows, K], each an f8E4M3FN
  Tensor scales; ///< [rows, ceil(K / columns)]
};

/// x [rows, K] in blocks of one row and `columns` columns. A block is scaled by its largest
/// magnitude, or `leastAmax` if that is more, over `largest`, the largest value of the format.
Quantized quantize(const Tensor &x, int64_t columns, float leastAmax, float largest);

/// Every element rounded to the nearest f8E4M3FN, ties to even, and held to its range.
Tensor roundToFloat8(const Tensor &x);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_QUANTIZATION_H
