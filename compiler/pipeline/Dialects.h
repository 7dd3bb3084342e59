// The dialects that the compiler's IR is written in, for every program that reads it.
#ifndef EPIGRAPH_COMPILER_PIPELINE_DIALECTS_H
#define EPIGRAPH_COMPILER_PIPELINE_DIALECTS_H

#include "mlir/IR/DialectRegistry.h"

namespace epigraph {

/// Adds epi, ep, exec and func to `registry`.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_PIPELINE_DIALECTS_H
