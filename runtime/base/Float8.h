// The 8-bit float f8E4M3FN ("F8_E4M3" of safetensors): a sign, four bits of exponent (bias 7),
// three of mantissa; no infinities, one NaN of either sign, largest value 448 (Micikevicius et al.,
// FP8 Formats for Deep Learning, 2022).
#ifndef EPIGRAPH_RUNTIME_BASE_FLOAT8_H
#define EPIGRAPH_RUNTIME_BASE_FLOAT8_H

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace epigraph {

/// Exact.
inline float floatOfFloat8(uint8_t bits) {
  const uint32_t magnitude = bits & 0x7f;
  float value;
  if (magnitude == 0x7f)
    value = std::numeric_limits<float>::quiet_NaN();
  else if (magnitude < 8) // exponent 0: no implicit one
    value = static_cast<float>(magnitude) * 0x1p-9f;
  else
    value = std::bit_cast<float>((magnitude << 20) + (uint32_t{120} << 23));
  return bits & 0x80 ? -value : value;
}

/// Rounds to nearest, ties to even; what lies beyond the largest value becomes that. A NaN stays
/// one.
inline uint8_t float8OfFloat(float value) {
  const uint32_t sign = std::bit_cast<uint32_t>(value) >> 24 & 0x80;
  const float magnitude = std::fabs(value);
  const uint32_t bits = std::bit_cast<uint32_t>(magnitude);
  uint32_t rounded;
  if (magnitude != magnitude) {
    rounded = 0x7f;
  } else if (magnitude >= 448) {
    rounded = 0x7e;
  } else if (magnitude < 0x1p-6f) {
    // The sum's last place is 2^-9, as that of the small values, so that the addition rounds.
    constexpr float kShift = 0x1p14f;
    rounded = std::bit_cast<uint32_t>(magnitude + kShift) - std::bit_cast<uint32_t>(kShift);
  } else {
    // Half of the last place kept, less one unless that place is odd.
    rounded = ((bits + 0x7ffff + (bits >> 20 & 1)) >> 20) - (uint32_t{120} << 3);
  }
  return static_cast<uint8_t>(sign | rounded);
}

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_FLOAT8_H
