// Passes that change the number formats of a model. Reference: Passes.td.
#ifndef EPIGRAPH_PASSES_QUANT_PASSES_H
#define EPIGRAPH_PASSES_QUANT_PASSES_H

#include "mlir/Pass/Pass.h"

namespace epigraph {

/// The type in which a model computes: of its activations and caches, not of its weights.
enum class ComputeType { Float32, BFloat16 };

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/quant/Passes.h.inc"

} // namespace epigraph

#endif // EPIGRAPH_PASSES_QUANT_PASSES_H
