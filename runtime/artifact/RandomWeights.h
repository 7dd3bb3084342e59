// Weights that are made when a model is loaded, in place of a checkpoint's: for measurements, where
// their values matter little and hundreds of gigabytes of them would have to be carried.
//
// Every value follows from a seed, the name of a tensor and its place in the tensor, so that any
// rank makes the part that it holds, on any device, with the same bits.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_RANDOMWEIGHTS_H
#define EPIGRAPH_RUNTIME_ARTIFACT_RANDOMWEIGHTS_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/base/SplitMix64.h"

namespace epigraph {

/// Values are uniform in [center - spread, center + spread).
struct RandomRange {
  float center = 0;
  float spread = 1;
};

/// Of a number, the upper 24 bits count: as many as a float32 holds.
inline constexpr int kRandomUnusedBits = 40;

/// What the values of the tensor `name` are made of: FNV-1a of the name, from a seed.
inline uint64_t randomKey(std::string_view name, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325 ^ (seed * kRandomStep);
  for (char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

/// Value `index` of a tensor. Rounded once, so that a device that has a fused multiply-add gives
/// the same bits.
inline float randomValue(uint64_t key, uint64_t index, RandomRange range) {
  const uint64_t bits = randomBits(key, index);
  const float uniform =
      static_cast<float>(static_cast<int32_t>(bits >> kRandomUnusedBits)) * 0x1p-23f - 1.0f;
  return std::fma(range.spread, uniform, range.center);
}

/// Sides of the blocks of values that share a scale.
inline constexpr int64_t kRandomScaleBlock = 128;

/// Values of a tensor, and how they are rounded before all else.
struct RandomTensor {
  uint64_t key = 0;
  RandomRange range;
  int32_t drawn = 0; ///< the DType: F32, BF16 or F8_E4M3
  int32_t unused = 0;
};

/// Some rows of a matrix, and what one launch of the device function of Plan.random makes: see
/// RandomPart in plan.fbs. The function takes a pointer to this and one to the result, as
/// KernelAbi.h has it; its rows are `chunks`, which its `count` points at.
struct RandomRun {
  static constexpr int64_t kChunkElements = 4096;

  RandomTensor values;
  RandomTensor scales;
  int64_t elements = 0; ///< `columns` in each row
  int64_t columns = 1;
  int64_t first = 0;
  int64_t rowStride = 0;
  int64_t columnStride = 0;
  int64_t tensorColumns = 0; ///< 0: there are no scales
  int32_t chunks = 0;        ///< of kChunkElements, the last of them less
  int32_t stored = 0;        ///< the DType of the result: F32, BF16 or F8_E4M3

  /// The place in the tensor of element `index`.
  int64_t placeOf(int64_t index) const {
    return first + index / columns * rowStride + index % columns * columnStride;
  }
};

static_assert(offsetof(RandomTensor, range) == 8 && offsetof(RandomTensor, drawn) == 16 &&
              sizeof(RandomTensor) == 24 && offsetof(RandomRun, scales) == 24 &&
              offsetof(RandomRun, elements) == 48 && offsetof(RandomRun, chunks) == 96 &&
              sizeof(RandomRun) == 104);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_RANDOMWEIGHTS_H
