// epigraph-opt: mlir-opt with Epigraph's dialects, passes and phases, and all its flags.
#include "compiler/driver/PassPlugins.h"
#include "compiler/pipeline/Dialects.h"
#include "compiler/pipeline/Pipeline.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

/// Loads the plugins that the command line names, before it is parsed: so their passes are flags,
/// as all others are. What cannot be loaded, mlir-opt's own handling of the flag reports.
static void loadPlugins(llvm::ArrayRef<char *> arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    llvm::StringRef argument = llvm::StringRef(arguments[i]).ltrim('-');
    if (!argument.consume_front("load-pass-plugin"))
      continue;
    if (argument.empty() && i + 1 < arguments.size())
      argument = arguments[++i];
    else if (!argument.consume_front("="))
      continue;
    epigraph::loadPassPlugins({argument.str()}).IgnoreError();
  }
}

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  epigraph::registerDialects(registry);
  epigraph::registerPasses();
  epigraph::registerPhasePipelines();
  loadPlugins({argv, static_cast<size_t>(argc)});
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Epigraph's passes on text or bytecode\n", registry));
}
