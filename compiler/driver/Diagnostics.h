// MLIR's diagnostics as text, so that every front end shows a pass's words.
#ifndef EPIGRAPH_COMPILER_DRIVER_DIAGNOSTICS_H
#define EPIGRAPH_COMPILER_DRIVER_DIAGNOSTICS_H

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "mlir/IR/Diagnostics.h"

namespace epigraph {

/// Where `loc` is, for messages: "model.layers.3.mlp".
std::string locationText(mlir::Location loc);

/// While alive, gathers the context's errors (with their notes) and hands warnings on.
class DiagnosticCollector {
public:
  DiagnosticCollector(mlir::MLIRContext *context, std::function<void(std::string_view)> warning);

  /// The errors so far as a status: "WHAT: LOCATION: MESSAGE". Forgets them.
  absl::Status takeErrors(absl::StatusCode code, std::string_view what);

  /// `status` with the errors so far, if there are any, after its message. Forgets them.
  absl::Status withErrors(const absl::Status &status);

private:
  std::string errors_;
  std::function<void(std::string_view)> warning_;
  mlir::ScopedDiagnosticHandler handler_;
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_DIAGNOSTICS_H
