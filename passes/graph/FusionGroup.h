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

/// Puts the operations of `group` in its place, and erases it. Returns them, in order.
llvm::SmallVector<mlir::Operation *> openFusionGroup(epi::FusedOp group);

/// The name of a group made of operations and groups with `names`: "add_rms_norm", "rms_norm_x2",
/// "rms_norm_x2_concat". "rows" where there are many.
std::string fusionName(llvm::ArrayRef<std::string> names);

/// Puts `op` into a group of its own, named as the operation is.
epi::FusedOp wrapInGroup(mlir::Operation *op);

/// Moves `producer`, whose only result `group` alone reads, into the group, before what is there.
/// Returns what becomes of the group, named `name`; it stands where the group stood.
epi::FusedOp sinkIntoGroup(mlir::Operation *producer, epi::FusedOp group, llvm::StringRef name);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_GRAPH_FUSIONGROUP_H
