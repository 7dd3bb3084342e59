#include "runtime/comm/RowSums.h"

#include <algorithm>
#include <cstring>

#include "runtime/base/BFloat16.h"

namespace epigraph {
namespace {

/// Numbers summed at a time: a block of accumulators stays in the first-level cache while the
/// sources pass by.
constexpr size_t kBlock = 1024;

void addBlock(SumType type, const uint8_t *source, float *sums, size_t count) {
  if (type == SumType::Float32) {
    float values[kBlock];
    std::memcpy(values, source, count * sizeof(float));
    for (size_t i = 0; i < count; ++i)
      sums[i] += values[i];
    return;
  }
  uint16_t values[kBlock];
  std::memcpy(values, source, count * sizeof(uint16_t));
  for (size_t i = 0; i < count; ++i)
    sums[i] += floatOfBFloat16(values[i]);
}

void storeBlock(SumType type, const float *sums, uint8_t *result, size_t count) {
  if (type == SumType::Float32) {
    std::memcpy(result, sums, count * sizeof(float));
    return;
  }
  uint16_t values[kBlock];
  for (size_t i = 0; i < count; ++i)
    values[i] = bfloat16OfFloat(sums[i]);
  std::memcpy(result, values, count * sizeof(uint16_t));
}

} // namespace

void sumInOrder(SumType type, absl::Span<const uint8_t *const> sources,
                absl::Span<uint8_t> result) {
  const size_t numbers = result.size() / bytesOf(type);
  for (size_t first = 0; first < numbers; first += kBlock) {
    const size_t count = std::min(kBlock, numbers - first);
    // -0.0 is what adding changes nothing about, zero's sign included.
    float sums[kBlock];
    std::fill_n(sums, count, -0.0f);
    for (const uint8_t *source : sources)
      addBlock(type, source + first * bytesOf(type), sums, count);
    storeBlock(type, sums, result.data() + first * bytesOf(type), count);
  }
}

} // namespace epigraph
