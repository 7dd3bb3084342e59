// What passes leave for --ep-partition-experts. A mesh may be there before the experts are
// partitioned over it: --ep-partition-tensor makes it, among the passes before fusion.
#ifndef EPIGRAPH_PASSES_PARTITION_PENDINGEXPERTS_H
#define EPIGRAPH_PASSES_PARTITION_PENDINGEXPERTS_H

#include "llvm/ADT/StringRef.h"

namespace epigraph {

/// The name of the mesh that partitioning makes.
inline constexpr llvm::StringLiteral kMeshName = "world";

/// Stands on an `ep.mesh` over which the experts are still to be partitioned.
inline constexpr llvm::StringLiteral kPendingExpertsAttrName = "ep.pending_experts";

/// Stands on an `epi.experts`: where --ep-place-experts wants its experts.
inline constexpr llvm::StringLiteral kPlacementAttrName = "ep.placement";

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PARTITION_PENDINGEXPERTS_H
