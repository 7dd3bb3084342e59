// Random numbers of which the i-th needs none of those before it: SplitMix64 (Steele, Lea and
// Flood, 2014). Devices compute them from the same constants.
#ifndef EPIGRAPH_RUNTIME_BASE_SPLITMIX64_H
#define EPIGRAPH_RUNTIME_BASE_SPLITMIX64_H

#include <cstdint>

namespace epigraph {

inline constexpr uint64_t kRandomStep = 0x9e3779b97f4a7c15;
inline constexpr uint64_t kRandomFactors[] = {0xbf58476d1ce4e5b9, 0x94d049bb133111eb};
inline constexpr int kRandomShifts[] = {30, 27, 31};

/// Number `index` of those that start at `key`.
inline uint64_t randomBits(uint64_t key, uint64_t index) {
  uint64_t bits = key + (index + 1) * kRandomStep;
  bits = (bits ^ (bits >> kRandomShifts[0])) * kRandomFactors[0];
  bits = (bits ^ (bits >> kRandomShifts[1])) * kRandomFactors[1];
  return bits ^ (bits >> kRandomShifts[2]);
}

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_SPLITMIX64_H
