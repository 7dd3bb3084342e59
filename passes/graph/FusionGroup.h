// Builds epi.fused groups out of operations of a graph.
#ifndef EPIGRAPH_PASSES_GRAPH_FUSIONGROUP_H
#define EPIGRAPH_PASSES_GRAPH_FUSIONGROUP_H

#include "dialects/epi/Epi.h"
#include "mlir/IR/Builders.h"

namespace epigraph {

/// Clones `ops` (in their order) into a new `epi.fused` named `name` where `builder` stands. What
/// they use from outside becomes the group's inputs, in the order of first use; `yielded`, results
/// of `ops`, become its results. The caller replaces and erases the originals.
epi::FusedOp formFusionGroup(mlir::OpBuilder &builder, llvm::StringRef name,
                             llvm::ArrayRef<mlir::Operation *> ops, mlir::ValueRange yielded);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_GRAPH_FUSIONGROUP_H
