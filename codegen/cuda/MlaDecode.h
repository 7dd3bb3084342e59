// Multi-head latent attention in absorbed form: every head's query meets the same cache entries, of
// which the latent part is the value too. Work comes as items of one token (AttentionItems.h).
#ifndef EPIGRAPH_CODEGEN_CUDA_MLADECODE_H
#define EPIGRAPH_CODEGEN_CUDA_MLADECODE_H

#include "codegen/cuda/AttentionMerge.h"
#include "codegen/cuda/QueryRotation.h"

#include <optional>

namespace epigraph::cuda {

/// An mla_attention without `up`. Sizes in elements; all elements are bf16.
struct MlaDecodeProblem {
  TensorView q;     ///< [rows, heads, latent]
  TensorView qRope; ///< [rows, heads, rope]
  mlir::BlockArgument cache;
  unsigned result; ///< [rows, heads, latent]
  int64_t heads, latent, rope;
  double scale;
  /// What is to be done to `qRope` first.
  std::optional<QueryRotation> rotation;

  int64_t entry() const { return latent + rope; }
};

/// Whether the warpgroups' form takes `problem`: the sizes of DeepSeek-V3, any number of heads, and
/// queries that a tensor map can describe.
bool fitsWarpgroups(const MlaDecodeProblem &problem);

/// Adds the launch whose blocks take one item and 64 heads, made of wgmma and tensor maps, and that
/// which merges its partial results.
void addWarpgroupMlaDecode(KernelAssembly &assembly, const MlaDecodeProblem &problem);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_MLADECODE_H
