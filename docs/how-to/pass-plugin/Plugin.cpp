// What a program that loads the plugin asks for.
#include "Passes.h"

#include "mlir/Tools/Plugins/PassPlugin.h"

extern "C" LLVM_ATTRIBUTE_WEAK ::mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "DemoPasses", "0.1", [] { demo::registerDemoPasses(); }};
}
