// Partial results of attention, and the launch that merges them. A token whose context is cut into
// several items gets one from each: of every head the mean of the values that the item saw, and the
// base-2 logarithm of the sum of their weights.
#ifndef EPIGRAPH_CODEGEN_CUDA_ATTENTIONMERGE_H
#define EPIGRAPH_CODEGEN_CUDA_ATTENTIONMERGE_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

/// How the partial results lie in the workspace: one after the other, as AttentionItem::partial
/// counts them, each the means of all heads and then their logarithms (f32).
struct AttentionPartials {
  int64_t heads;
  int64_t columns;    ///< elements of a head's result, even
  mlir::Type element; ///< of means: f32, or f16 where half the bytes are worth its rounding

  int64_t elementBytes() const { return element.getIntOrFloatBitWidth() / 8; }
  /// Of one partial result; a multiple of 16.
  int64_t bytes() const;

  /// The address of the means of `head`, [columns] of element.
  Val means(KernelFrame &frame, Val partial, Val head) const;
  /// The address of the logarithm of `head`, f32.
  Val logarithm(KernelFrame &frame, Val partial, Val head) const;
};

/// Asks for about `items` token items and for the partial results that they can give.
void needPartials(KernelAssembly &assembly, const AttentionPartials &partials, int64_t items);

/// Adds the launch that merges the partial results of each token into its row of result `index`,
/// [rows, heads, columns]. Rows whose context is not cut are left as they are.
void addAttentionMerge(KernelAssembly &assembly, const AttentionPartials &partials, unsigned index);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ATTENTIONMERGE_H
