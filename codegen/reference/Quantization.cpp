#include "codegen/reference/Quantization.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/Float8.h"

namespace epigraph::reference {
namespace {

int64_t blocksOf(int64_t size, int64_t block) { return (size + block - 1) / block; }

} // namespace

Tensor dequantize(const Tensor &x, const Tensor &scales, ScaleBlock block) {
  const int64_t outputs = x.dim(x.rank() - 2), depth = x.dim(x.rank() - 1);
  const int64_t scaleRows = blocksOf(outputs, block.rows);
  const int64_t scaleColumns = blocksOf(depth, block.columns);
  Tensor result = Tensor::floats(x.shape());
  for (int64_t row = 0; depth && row < x.elements() / depth; ++row) {
    const int64_t matrix = row / outputs, scaleRow = row % outputs / block.rows;
    const float *scale = scales.data() + (matrix * scaleRows + scaleRow) * scaleColumns;
    for (int64_t k = 0; k < depth; ++k)
      result.data()[row * depth + k] = x.data()[row * depth + k] * scale[k / block.columns];
  }
  return result;
}

Quantized quantize(const Tensor &x, int64_t columns, float leastAmax, float largest) {
  const int64_t depth = x.dim(1), blocks = blocksOf(depth, columns);
  Quantized result{Tensor::floats(x.shape()), Tensor::floats({x.rows(), blocks})};
  for (int64_t row = 0; row < x.rows(); ++row)
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t begin = block * columns, end = std::min(begin + columns, depth);
      float amax = leastAmax;
      for (int64_t k = begin; k < end; ++k)
        amax = std::max(amax, std::fabs(x.row(row)[k]));
      const float scale = amax / largest;
      result.scales.row(row)[block] = scale;
      for (int64_t k = begin; k < end; ++k)
        result.values.row(row)[k] = floatOfFloat8(float8OfFloat(x.row(row)[k] / scale));
    }
  return result;
}

Tensor roundToFloat8(const Tensor &x) {
  Tensor result = x;
  std::transform(x.data(), x.data() + x.elements(), result.data(),
                 [](float value) { return floatOfFloat8(float8OfFloat(value)); });
  return result;
}

} // namespace epigraph::reference
