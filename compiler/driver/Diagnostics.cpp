#include "compiler/driver/Diagnostics.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"

#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {

std::string locationText(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().str();
  if (auto fused = dyn_cast<FusedLoc>(loc); fused && !fused.getLocations().empty())
    return locationText(fused.getLocations().front());
  if (isa<UnknownLoc>(loc))
    return "module";
  std::string text;
  llvm::raw_string_ostream(text) << loc;
  return text;
}

DiagnosticCollector::DiagnosticCollector(MLIRContext *context,
                                         std::function<void(std::string_view)> warning)
    : warning_(std::move(warning)), handler_(context, [this](Diagnostic &diagnostic) {
        std::string text = locationText(diagnostic.getLocation()) + ": " + diagnostic.str();
        for (Diagnostic &note : diagnostic.getNotes())
          text += "\n  note: " + note.str();
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
          errors_ += (errors_.empty() ? "" : "\n") + text;
        else if (diagnostic.getSeverity() == DiagnosticSeverity::Warning && warning_)
          warning_(text);
        return success();
      }) {}

absl::Status DiagnosticCollector::takeErrors(absl::StatusCode code, std::string_view what) {
  std::string errors = std::exchange(errors_, {});
  if (errors.empty())
    errors = "failed without saying why; this is a bug";
  return absl::Status(code, absl::StrCat(abslView(what), ": ", errors));
}

absl::Status DiagnosticCollector::withErrors(const absl::Status &status) {
  std::string errors = std::exchange(errors_, {});
  if (status.ok() || errors.empty())
    return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), ": ", errors));
}

} // namespace epigraph
