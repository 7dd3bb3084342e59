// Counts operations and fusions of a scheduled module; see FusionCount for what they are.
#ifndef EPIGRAPH_COMPILER_DRIVER_COUNTFUSION_H
#define EPIGRAPH_COMPILER_DRIVER_COUNTFUSION_H

#include "compiler/driver/Report.h"
#include "mlir/IR/BuiltinOps.h"

namespace epigraph {

/// Counts over all functions of `module`, which holds launches (after the phase schedule).
FusionCount countFusion(mlir::ModuleOp module);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_COUNTFUSION_H
