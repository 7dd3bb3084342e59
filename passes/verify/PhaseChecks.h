// The postconditions of phases, one function each. All report what they find at the operation that
// breaks them, with the cause and the pass that should have prevented it.
#ifndef EPIGRAPH_PASSES_VERIFY_PHASECHECKS_H
#define EPIGRAPH_PASSES_VERIFY_PHASECHECKS_H

#include "mlir/IR/BuiltinOps.h"

namespace epigraph {

/// Every fusion group is one that a kernel can be built around.
llvm::LogicalResult verifyFusionGroups(mlir::ModuleOp module);

/// No weight operation is unused.
llvm::LogicalResult verifyNoDeadWeights(mlir::ModuleOp module);

/// No block computes one thing twice.
llvm::LogicalResult verifyNoDuplicates(mlir::ModuleOp module);

/// Nothing but weight expressions holds bf16.
llvm::LogicalResult verifyFloat32(mlir::ModuleOp module);

/// Experts are partitioned, over one mesh.
llvm::LogicalResult verifyPartition(mlir::ModuleOp module);

/// Functions and kernels hold what a schedule does.
llvm::LogicalResult verifySchedule(mlir::ModuleOp module);

/// Memory is planned; with `whole`, the plan is right and collectives are waited for.
llvm::LogicalResult verifyPlans(mlir::ModuleOp module, bool whole);

/// Projections read packed weights, if the module is compiled for a CPU.
llvm::LogicalResult verifyPackedWeights(mlir::ModuleOp module);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_VERIFY_PHASECHECKS_H
