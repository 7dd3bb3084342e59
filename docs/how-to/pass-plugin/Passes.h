// The plugin's passes. Reference: Passes.td.
#ifndef DEMO_PASSES_H
#define DEMO_PASSES_H

#include "dialects/epi/Epi.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace demo {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "Passes.h.inc"

} // namespace demo

#endif // DEMO_PASSES_H
