// bfloat16 in memory: the upper half of a float32.
#ifndef EPIGRAPH_RUNTIME_BASE_BFLOAT16_H
#define EPIGRAPH_RUNTIME_BASE_BFLOAT16_H

#include <bit>
#include <cstdint>

namespace epigraph {

/// Exact.
inline float floatOfBFloat16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// Rounds to nearest, ties to even, as hardware does; a NaN stays a (quiet) NaN.
inline uint16_t bfloat16OfFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value)
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_BFLOAT16_H
