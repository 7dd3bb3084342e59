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
  if (auto file = dyn_cast<FileLineColLoc>(loc))
    return file.getFilename().str() + ":" + std::to_string(file.getLine()) + ":" +
           std::to_string(file.getColumn());
  if (isa<UnknownLoc>(loc))
    return "module";
  std::string text;
  llvm::raw_string_ostream(text) << loc;
  return text;
}

DiagnosticCollector::DiagnosticCollector(MLIRContext *context,
                                         std::function<void(std::string_view)> warning)
    : warning_(std::move(warning)), handler_(context, [this](Diagnostic &diagnostic) {
        collect(diagnostic);
        return success();
      }) {}

/// MLIR's own words about a reproducer, which say nothing of the cause.
static bool announcesReproducer(Diagnostic &diagnostic) {
  return StringRef(diagnostic.str()).starts_with("Failures have been detected while processing an");
}

void DiagnosticCollector::collect(Diagnostic &diagnostic) {
  if (announcesReproducer(diagnostic))
    return;
  std::string text = locationText(diagnostic.getLocation()) + ": " + diagnostic.str();
  for (Diagnostic &note : diagnostic.getNotes())
    text += "\n  note: " + note.str();
  if (diagnostic.getSeverity() == DiagnosticSeverity::Warning && warning_)
    warning_(text);
  if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
    return;
  errors_ += (errors_.empty() ? "" : "\n") + text;
  for (DiagnosticArgument &argument : diagnostic.getMetadata())
    if (argument.getKind() == DiagnosticArgument::DiagnosticArgumentKind::String && !code_)
      code_ = errorCodeFromText(argument.getAsString().str());
}

absl::Status DiagnosticCollector::coded(absl::Status status) {
  std::optional<ErrorCode> code = std::exchange(code_, std::nullopt);
  return code ? withCode(*code, std::move(status)) : status;
}

absl::Status DiagnosticCollector::takeErrors(absl::StatusCode code, std::string_view what) {
  std::string errors = std::exchange(errors_, {});
  if (errors.empty())
    errors = "failed without saying why; this is a bug";
  return coded(absl::Status(code, absl::StrCat(abslView(what), ": ", errors)));
}

absl::Status DiagnosticCollector::withErrors(const absl::Status &status) {
  std::string errors = std::exchange(errors_, {});
  if (status.ok() || errors.empty())
    return status;
  return coded(withCodeOf(
      status, absl::Status(status.code(), absl::StrCat(status.message(), ": ", errors))));
}

} // namespace epigraph
