// How a pass refuses what a user asked for, as opposed to failing on IR that is wrong: the
// diagnostic carries a code of runtime/base/ErrorCatalog.cpp, which the driver shows and `epigraph
// explain` knows.
#ifndef EPIGRAPH_PASSES_REFUSAL_H
#define EPIGRAPH_PASSES_REFUSAL_H

#include "mlir/IR/Diagnostics.h"

namespace epigraph {

/// Marks `diagnostic`, an error, as refusal `code`: refusal(op.emitOpError("has ..."), "E0302").
/// The code is no part of its text. (A literal: passes know nothing of the runtime, where codes
/// are.)
inline mlir::InFlightDiagnostic refusal(mlir::InFlightDiagnostic diagnostic,
                                        llvm::StringLiteral code) {
  diagnostic.getUnderlyingDiagnostic()->getMetadata().push_back(mlir::DiagnosticArgument(code));
  return diagnostic;
}

} // namespace epigraph

#endif // EPIGRAPH_PASSES_REFUSAL_H
