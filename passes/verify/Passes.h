// Passes that only look. Reference: Passes.td.
#ifndef EPIGRAPH_PASSES_VERIFY_PASSES_H
#define EPIGRAPH_PASSES_VERIFY_PASSES_H

#include "mlir/Pass/Pass.h"

namespace epigraph {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/verify/Passes.h.inc"

} // namespace epigraph

#endif // EPIGRAPH_PASSES_VERIFY_PASSES_H
