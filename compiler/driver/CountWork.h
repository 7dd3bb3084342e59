// Estimates what the steps of a scheduled module cost, for the report.
#ifndef EPIGRAPH_COMPILER_DRIVER_COUNTWORK_H
#define EPIGRAPH_COMPILER_DRIVER_COUNTWORK_H

#include <vector>

#include "compiler/driver/Report.h"
#include "mlir/IR/BuiltinOps.h"

namespace epigraph {

/// Two steps of each function of `module`, which holds launches (after the phase schedule): one
/// token, and as many tokens and sequences as `exec.limits` allow; both halfway into the context.
/// Fails with a diagnostic where the module is no schedule.
mlir::FailureOr<std::vector<StepWork>> countWork(mlir::ModuleOp module);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_COUNTWORK_H
