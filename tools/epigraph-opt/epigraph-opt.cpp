// epigraph-opt: mlir-opt with Epigraph's dialects, passes and phases, and all its flags.
#include "compiler/pipeline/Dialects.h"
#include "compiler/pipeline/Pipeline.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  epigraph::registerDialects(registry);
  epigraph::registerPasses();
  epigraph::registerPhasePipelines();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Epigraph's passes on text or bytecode\n", registry));
}
