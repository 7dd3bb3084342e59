// Passes that prepare a schedule for the CPU code generator. Reference: Passes.td.
#ifndef EPIGRAPH_CODEGEN_CPU_PASSES_H
#define EPIGRAPH_CODEGEN_CPU_PASSES_H

#include "mlir/Pass/Pass.h"

namespace epigraph {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "codegen/cpu/Passes.h.inc"

} // namespace epigraph

#endif // EPIGRAPH_CODEGEN_CPU_PASSES_H
