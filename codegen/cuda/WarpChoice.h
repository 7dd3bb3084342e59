// Choosing the largest of values that the lanes of a warp hold.
#ifndef EPIGRAPH_CODEGEN_CUDA_WARPCHOICE_H
#define EPIGRAPH_CODEGEN_CUDA_WARPCHOICE_H

#include "codegen/cuda/Emitter.h"

#include <cstdint>
#include <limits>

namespace epigraph::cuda {

/// Below orderKey of every number, and above.
inline constexpr int64_t kKeyBelowAll = std::numeric_limits<int32_t>::min();
inline constexpr int64_t kKeyAboveAll = std::numeric_limits<int32_t>::max();

/// An i32 that orders as the number `x` (f32) does; -0 and 0 have one key.
Val orderKey(Val x);

/// The largest, and the smallest, of the warp's i32 values.
Val largestOfWarp(Val x);
Val smallestOfWarp(Val x);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WARPCHOICE_H
