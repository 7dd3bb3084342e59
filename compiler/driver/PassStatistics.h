// The numbers that passes report of their work (passes/PassRemarks.h), for --report.
#ifndef EPIGRAPH_COMPILER_DRIVER_PASSSTATISTICS_H
#define EPIGRAPH_COMPILER_DRIVER_PASSSTATISTICS_H

#include <vector>

#include "compiler/driver/Report.h"
#include "mlir/IR/MLIRContext.h"

namespace epigraph {

/// Adds the statistics of every pass that runs in `context` from now on to `entries`, in their
/// order. `entries` must outlive the context. For a context without multi-threading.
void collectPassStatistics(mlir::MLIRContext &context, std::vector<Report::PassEntry> &entries);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_PASSSTATISTICS_H
