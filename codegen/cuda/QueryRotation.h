// The rotation of the last elements of a token's queries, in the kernel of attention that has them
// in shared memory. Values are those of the kernel for rotations (RopeKernel.cpp), bit for bit.
#ifndef EPIGRAPH_CODEGEN_CUDA_QUERYROTATION_H
#define EPIGRAPH_CODEGEN_CUDA_QUERYROTATION_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

/// An epi.rope of whole heads of bf16, a multiple of 16 elements. A share is what a thread turns:
/// 16 elements in two pieces of 16 bytes, neighbours or one of each half.
struct QueryRotation {
  TensorView table; ///< [positions, elements], f32: cosines, then sines
  int64_t elements; ///< of a head
  bool interleaved; ///< neighbours are pairs; else an element of each half

  int64_t shares() const { return elements / 16; }

  struct Angles {
    Vals cosines, sines;
  };
  /// Of the pairs of share `share`, for a token at `position`. Tables are weights, so this may
  /// stand before waitForPrevious.
  Angles load(KernelFrame &frame, Val position, Val share) const;
  /// Turns a share in place. `piece` gives the address in shared memory of the head's 16 bytes of a
  /// number.
  void turn(const Angles &angles, Val share, llvm::function_ref<Val(Val number)> piece) const;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_QUERYROTATION_H
