// The packed layout that CPU projections read, shared by the packing pass and the kernel builders.
#ifndef EPIGRAPH_CODEGEN_CPU_WEIGHTPANEL_H
#define EPIGRAPH_CODEGEN_CPU_WEIGHTPANEL_H

#include "dialects/exec/Exec.h"

namespace epigraph::cpu {

/// Output columns of a panel: two 512-bit or four 256-bit vectors of float32.
inline constexpr int64_t kPanelColumns = 32;

/// The encoding that a weight of type `type` (bf16 or f32, rank 2 or more) gets for CPU
/// projections.
inline exec::PanelAttr panelOf(mlir::RankedTensorType type) {
  const int64_t depth = type.getElementType().isBF16() ? 2 : 1;
  return exec::PanelAttr::get(type.getContext(), kPanelColumns, depth);
}

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_WEIGHTPANEL_H
