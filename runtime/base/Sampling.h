// How the token of a row of logits is chosen: the arithmetic that the host, the reference and
// kernels of devices share.
//
// The largest logit wins, or a token is drawn with the probabilities of softmax(logits /
// temperature) among those that pass three filters, one after the other:
//   top-k: the k largest; of equal logits those that come first;
//   top-p: of these, as few of the largest as have the share p of their probability together;
//   min-p: of these, those whose probability is at least min-p times the largest.
//
// A draw needs one number of its own for each token, and no sums: with x the distance of a logit
// from the largest, divided by the temperature, the token with the largest x - ln(E) is drawn, E an
// exponentially distributed random number that follows from a key and the token's id. So a choice
// depends on nothing but the row and its SamplingRow.
//
// Every operation below is rounded as IEEE 754 says, and sums are of integers: whoever computes in
// this way chooses the same token, to the bit.
#ifndef EPIGRAPH_RUNTIME_BASE_SAMPLING_H
#define EPIGRAPH_RUNTIME_BASE_SAMPLING_H

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "absl/types/span.h"
#include "runtime/base/SplitMix64.h"

namespace epigraph {

/// How the token of one row is chosen, as kernels read it.
struct alignas(32) SamplingRow {
  uint64_t key = 0;  ///< of the random numbers; another for every row
  float scale = 0;   ///< 1 / temperature; 0: the largest logit wins
  float reach = 0;   ///< min-p: the least distance from the largest logit, at most 0
  uint32_t topP = 0; ///< in 2^-32; 0: no such filter
  int32_t topK = 0;  ///< 0: no such filter
};

static_assert(offsetof(SamplingRow, scale) == 8 && offsetof(SamplingRow, reach) == 12 &&
              offsetof(SamplingRow, topP) == 16 && offsetof(SamplingRow, topK) == 20 &&
              sizeof(SamplingRow) == 32);

/// ln(1 + f) = f + f^2 (-1/2 + f P(f)) for 1 + f in [sqrt(1/2), sqrt(2)): Cephes, logf. The
/// coefficient of the highest power first.
inline constexpr float kLogTerms[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                      -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                      2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
/// Added to the bits of a number of at least 2^-100, it gives the exponent e of the power of two
/// within sqrt(2) of it, plus kExponentBias, in the bits from kMantissaBits on.
inline constexpr int32_t kLogRounding = 0x3f800000 - 0x3f3504f3;
inline constexpr int32_t kExponentBias = 127;
inline constexpr int kMantissaBits = 23;
inline constexpr float kLn2 = 0.693147180559945f;

/// ln(x), x = 1 + rest in [2^-100, 2^100], of which `rest` may be known more precisely.
inline float samplingLog(float x, float rest) {
  const int32_t bits = std::bit_cast<int32_t>(x);
  const int32_t exponent = ((bits + kLogRounding) >> kMantissaBits) - kExponentBias;
  const float mantissa = std::bit_cast<float>(bits - exponent * (1 << kMantissaBits));
  const float f = exponent == 0 ? rest : mantissa - 1;
  float sum = kLogTerms[0];
  for (size_t i = 1; i < std::size(kLogTerms); ++i)
    sum = std::fma(sum, f, kLogTerms[i]);
  const float ofMantissa = std::fma(std::fma(sum, f, -0.5f), f * f, f);
  return std::fma(static_cast<float>(exponent), kLn2, ofMantissa);
}

/// Of a random number, the upper 31 bits count.
inline constexpr int kNoiseUnusedBits = 33;
/// No less than any noise.
inline constexpr float kMostNoise = 22.25f;

/// What the noise of token `id` is made of: a number below 2^31.
inline int32_t drawnFor(uint64_t key, uint64_t id) {
  return static_cast<int32_t>(randomBits(key, id) >> kNoiseUnusedBits);
}

/// -ln(E) of a token for which `drawn` was drawn.
inline float samplingNoise(int32_t drawn) {
  const float uniform =
      std::fmin(std::fma(static_cast<float>(drawn), 0x1p-31f, 0x1p-32f), 1 - 0x1p-24f);
  const float exponential = -samplingLog(1 - uniform, -uniform);
  return -samplingLog(exponential, exponential - 1);
}

/// Sums of probabilities count in this share of the largest one.
inline constexpr int kMassBits = 25;
/// Below it, no probability counts.
inline constexpr float kLeastExponent = -64;
/// e^x = 2^n e^r, e^r = 1 + r + r^2 P(r) for |r| <= ln(2) / 2: Cephes, expf.
inline constexpr float kExpTerms[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                      4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
inline constexpr float kLog2E = 1.44269504088896f;
inline constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
/// Added to a float32 below 2^22 in size, it leaves the nearest integer in the lowest bits.
inline constexpr float kRoundingShift = 0x1.8p23f;

/// e^x in units of 2^-kMassBits, rounded to the nearest; x at most 0.
inline uint32_t samplingMass(float x) {
  const float bounded = std::fmax(x, kLeastExponent);
  const float shifted = std::fma(bounded, kLog2E, kRoundingShift);
  const float n = shifted - kRoundingShift;
  const float r = std::fma(n, -kLn2Low, std::fma(n, -kLn2High, bounded));
  float sum = kExpTerms[0];
  for (size_t i = 1; i < std::size(kExpTerms); ++i)
    sum = std::fma(sum, r, kExpTerms[i]);
  const float ofRest = std::fma(sum, r * r, r) + 1;
  const int32_t power =
      std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRoundingShift) + kMassBits;
  const float mass =
      std::bit_cast<float>(std::bit_cast<int32_t>(ofRest) + power * (1 << kMantissaBits));
  return static_cast<uint32_t>(static_cast<int32_t>(mass + 0.5f));
}

/// Whether a token for which `drawn` was drawn may have as much noise as `missing`; false tells for
/// sure, at little cost. With u = drawn / 2^31, E is at least u. A power of two is left for
/// rounding.
inline bool mayHaveNoise(int32_t drawn, float missing) {
  const int32_t bits = static_cast<int32_t>(missing * kLog2E) - 1;
  return drawn <= INT32_MAX >> std::clamp(bits, 0, 30);
}

/// The probability that the top-p filter keeps at least, of `total`; at least 1.
inline uint64_t keptMass(uint64_t total, uint32_t topP) {
  const uint64_t kept = (total >> 32) * topP + ((total & UINT32_MAX) * topP >> 32);
  return kept > 1 ? kept : 1;
}

/// The token of `logits` (not empty), or -1 where a logit is not a number. Where the largest is
/// infinite, it wins. Of equal logits, and of equal draws, the first wins.
int32_t chooseToken(absl::Span<const float> logits, const SamplingRow &how);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_SAMPLING_H
