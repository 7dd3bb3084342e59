// Passes that spread a model over ranks. Reference: Passes.td.
#ifndef EPIGRAPH_PASSES_PARTITION_PASSES_H
#define EPIGRAPH_PASSES_PARTITION_PASSES_H

#include "dialects/ep/Ep.h"
#include "mlir/Pass/Pass.h"
#include "passes/partition/TensorMode.h"

namespace epigraph {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/partition/Passes.h.inc"

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PARTITION_PASSES_H
