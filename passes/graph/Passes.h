// Passes on the graph of one model, before it is spread over ranks. Reference: Passes.td.
#ifndef EPIGRAPH_PASSES_GRAPH_PASSES_H
#define EPIGRAPH_PASSES_GRAPH_PASSES_H

#include "mlir/Pass/Pass.h"

#include "passes/graph/AttentionForm.h"

namespace epigraph {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/graph/Passes.h.inc"

} // namespace epigraph

#endif // EPIGRAPH_PASSES_GRAPH_PASSES_H
