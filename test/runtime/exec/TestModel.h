// A model of one MoE layer and one attention layer, in numbers so small that float32 is exact in
// any order, with its plan built by hand and its kernels written by hand: what the plan executor is
// tested on.
//
//   x[t]      = table[id[t]], whose first number is the id itself
//   y[t]      = x[t] * (expert + 1), computed where the expert lives; expert = expertOf(id)
//   z[t]      = sum over positions p up to t's of y[p] * weightOf(p), through the cache
//   logits[t] = head . z[t]
#ifndef EPIGRAPH_TEST_RUNTIME_EXEC_TESTMODEL_H
#define EPIGRAPH_TEST_RUNTIME_EXEC_TESTMODEL_H

#include <chrono>
#include <cstdint>

namespace epigraph::testmodel {

inline constexpr int64_t kVocab = 32;
inline constexpr int64_t kHidden = 4;
inline constexpr int32_t kExperts = 8;
inline constexpr int64_t kRowTile = 2;

// Tokens that make kernels misbehave.
inline constexpr int32_t kShortSleep = 28; ///< rank 1 is late
inline constexpr int32_t kLongSleep = 29;  ///< rank 1 is very late
inline constexpr int32_t kBadCount = 30;   ///< a negative number of rows is sent
inline constexpr std::chrono::milliseconds kShortSleepTime(1400);
inline constexpr std::chrono::milliseconds kLongSleepTime(2000);

/// Skewed: half of all tokens go to expert 2, experts 4 and 5 get none.
inline int32_t expertOf(int32_t id) {
  constexpr int32_t experts[] = {2, 0, 2, 1, 2, 3, 2, 7, 2, 6};
  return experts[id % 10];
}

inline float tableAt(int64_t id, int64_t h) {
  return h == 0 ? static_cast<float>(id) : static_cast<float>((id * 7 + h * 3) % 11 - 5);
}
inline float headAt(int64_t v, int64_t h) { return static_cast<float>((v * 5 + h) % 7 - 3); }
inline float weightOf(int64_t position) { return static_cast<float>(position % 3 + 1); }

} // namespace epigraph::testmodel

#endif // EPIGRAPH_TEST_RUNTIME_EXEC_TESTMODEL_H
