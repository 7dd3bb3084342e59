// The packed layout that CPU projections read, shared by the packing pass and the kernel builders.
#ifndef EPIGRAPH_CODEGEN_CPU_WEIGHTPANEL_H
#define EPIGRAPH_CODEGEN_CPU_WEIGHTPANEL_H

#include "dialects/exec/Exec.h"

namespace epigraph::cpu {

/// Output columns of a panel: two 512-bit or four 256-bit vectors of float32.
inline constexpr int64_t kPanelColumns = 32;

/// The encoding that a weight of type `type` (f32, bf16 or f8E4M3FN, rank 2 or more) gets for CPU
/// projections. Pairs of bf16 are what the dot product takes; 8-bit floats are widened one K at a
/// time.
inline exec::PanelAttr panelOf(mlir::RankedTensorType type) {
  const int64_t depth = type.getElementType().isBF16() ? 2 : 1;
  return exec::PanelAttr::get(type.getContext(), kPanelColumns, depth);
}

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_WEIGHTPANEL_H
