// Passes that turn a partitioned graph into a schedule. Reference: Passes.td.
#ifndef EPIGRAPH_PASSES_SCHEDULE_PASSES_H
#define EPIGRAPH_PASSES_SCHEDULE_PASSES_H

#include "mlir/Pass/Pass.h"
#include "passes/schedule/BatchSplit.h"

namespace epigraph {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/schedule/Passes.h.inc"

} // namespace epigraph

#endif // EPIGRAPH_PASSES_SCHEDULE_PASSES_H
