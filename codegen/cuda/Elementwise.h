// The arithmetic of elementwise operations on a device, shared by the row kernels and by what
// projections do to their results before they store them.
#ifndef EPIGRAPH_CODEGEN_CUDA_ELEMENTWISE_H
#define EPIGRAPH_CODEGEN_CUDA_ELEMENTWISE_H

#include "codegen/cuda/Emitter.h"
#include "codegen/target/Elementwise.h"

namespace epigraph::cuda {

/// The result of an elementwise `op`, before it is rounded to its type. `operands` are float32
/// scalars.
Val computeElementwise(Emitter &e, mlir::Operation *op, mlir::ArrayRef<Val> operands);

/// float32 `x` as if it had been stored in `element` (bf16 or f32) and read again.
Val roundTo(Emitter &e, mlir::Type element, Val x);

/// (a, b) turned by the angle of `cosine` and `sine`.
std::pair<Val, Val> rotatePair(Val a, Val b, Val cosine, Val sine);

/// x / divisor, correctly rounded, from inverse = 1 / divisor (Markstein, 1990).
Val quotient(Emitter &e, Val x, Val divisor, Val inverse);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ELEMENTWISE_H
