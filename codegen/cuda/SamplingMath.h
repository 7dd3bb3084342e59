// The arithmetic of runtime/base/Sampling.h on a device: the same operations in the same order, so
// that the same bits come out.
#ifndef EPIGRAPH_CODEGEN_CUDA_SAMPLINGMATH_H
#define EPIGRAPH_CODEGEN_CUDA_SAMPLINGMATH_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// Number `index` (i64) of those that start at `key` (i64).
Val randomBits(Val key, Val index);
/// i32, for token `id` (i32).
Val drawnFor(Val key, Val id);
/// i1, of i32 and f32.
Val mayHaveNoise(Val drawn, Val missing);
/// f32, of i32.
Val samplingNoise(Val drawn);
/// i32; x at most 0.
Val samplingMass(Val x);
/// i64, of i64 and i64.
Val keptMass(Val total, Val topP);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_SAMPLINGMATH_H
