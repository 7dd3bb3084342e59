// A mesh may be there before the experts are partitioned over it: --ep-partition-tensor makes it
// among the passes before fusion, --ep-partition-experts completes it.
#ifndef EPIGRAPH_PASSES_PARTITION_PENDINGEXPERTS_H
#define EPIGRAPH_PASSES_PARTITION_PENDINGEXPERTS_H

#include "llvm/ADT/StringRef.h"

namespace epigraph {

/// The name of the mesh that partitioning makes.
inline constexpr llvm::StringLiteral kMeshName = "world";

/// Stands on an `ep.mesh` over which the experts are still to be partitioned.
inline constexpr llvm::StringLiteral kPendingExpertsAttrName = "ep.pending_experts";

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PARTITION_PENDINGEXPERTS_H
