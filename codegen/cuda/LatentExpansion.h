// Keys and values of one head from the latent vectors of a page: the product of 64 latent vectors
// and the head's rows of kv_b_proj, in bf16. Warps take 16 of the tokens and half of the columns
// each.
#ifndef EPIGRAPH_CODEGEN_CUDA_LATENTEXPANSION_H
#define EPIGRAPH_CODEGEN_CUDA_LATENTEXPANSION_H

#include "codegen/cuda/KernelAssembly.h"
#include "codegen/cuda/SharedRows.h"

namespace epigraph::cuda {

/// Sizes in elements, multiples of 16.
struct LatentExpansion {
  int64_t latent, entry; ///< of a latent vector, and of a cache entry, which begins with one
  int64_t columns;       ///< of a head: its key, then its value

  static constexpr int64_t kThreads = 256;

  /// A head's columns are made in this many tiles of equal width, but for the last.
  int64_t tiles() const;
  int64_t sharedBytes() const;

  /// Makes columns of tile `tile` of one head. `entries`: the page's first entry; `up`: the head's
  /// first row of kv_b_proj; `result`: [64][columns]. The whole block must take part; shared
  /// memory may be used again when it has met.
  void emit(Emitter &e, Val entries, Val up, Val tile, Val result) const;

private:
  int64_t tileColumns() const;
  int64_t depth() const; ///< of a step along the latent vector
  int64_t stride() const { return paddedRowBytes(depth() * 2); }
  int64_t stageBytes() const;
  void startStep(Emitter &e, Val entries, Val up, Val validRows, Val step, Val stage) const;
  void store(Emitter &e, const Vals &sums, Val firstRow, Val firstColumn, Val result) const;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_LATENTEXPANSION_H
