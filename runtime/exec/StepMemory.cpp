#include "runtime/exec/StepMemory.h"

#include <algorithm>

#include "runtime/base/BFloat16.h"

namespace epigraph {

void convertToFloat32(const uint8_t *numbers, plan::DType dtype, size_t count, float *result) {
  if (dtype == plan::DType::BF16)
    std::transform(reinterpret_cast<const uint16_t *>(numbers),
                   reinterpret_cast<const uint16_t *>(numbers) + count, result, floatOfBFloat16);
  else
    std::copy_n(reinterpret_cast<const float *>(numbers), count, result);
}

void convertFromFloat32(absl::Span<const float> numbers, plan::DType dtype, uint8_t *result) {
  if (dtype == plan::DType::BF16)
    std::transform(numbers.begin(), numbers.end(), reinterpret_cast<uint16_t *>(result),
                   bfloat16OfFloat);
  else
    std::copy(numbers.begin(), numbers.end(), reinterpret_cast<float *>(result));
}

} // namespace epigraph
