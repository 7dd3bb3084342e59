// Passes that change the number formats of a model. Reference: Passes.td.
#ifndef EPIGRAPH_PASSES_QUANT_PASSES_H
#define EPIGRAPH_PASSES_QUANT_PASSES_H

#include "passes/quant/ComputeType.h"

#include "mlir/Pass/Pass.h"

namespace epigraph {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/quant/Passes.h.inc"

} // namespace epigraph

#endif // EPIGRAPH_PASSES_QUANT_PASSES_H
