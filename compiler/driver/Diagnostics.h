// MLIR's diagnostics as text, so that every front end shows a pass's words.
#ifndef EPIGRAPH_COMPILER_DRIVER_DIAGNOSTICS_H
#define EPIGRAPH_COMPILER_DRIVER_DIAGNOSTICS_H

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "mlir/IR/Diagnostics.h"

#include "runtime/base/ErrorCode.h"

namespace epigraph {

/// Where `loc` is, for messages: "model.layers.3.mlp", or "FILE:LINE:COLUMN" of IR without names.
std::string locationText(mlir::Location loc);

/// While alive, gathers the context's errors (with their notes) and hands warnings on.
class DiagnosticCollector {
public:
  DiagnosticCollector(mlir::MLIRContext *context, std::function<void(std::string_view)> warning);

  /// The errors so far as a status: "WHAT: LOCATION: MESSAGE", with the code of the first that is a
  /// refusal (passes/Refusal.h). Forgets them.
  absl::Status takeErrors(absl::StatusCode code, std::string_view what);

  /// `status` with the errors so far, if there are any, after its message. Forgets them.
  absl::Status withErrors(const absl::Status &status);

private:
  void collect(mlir::Diagnostic &diagnostic);
  absl::Status coded(absl::Status status);

  std::string errors_;
  std::optional<ErrorCode> code_;
  std::function<void(std::string_view)> warning_;
  mlir::ScopedDiagnosticHandler handler_;
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_DIAGNOSTICS_H
