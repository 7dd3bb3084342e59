// epigraph-reduce: mlir-reduce with Epigraph's dialects and passes. Makes a module smaller for as
// long as a script still finds it interesting.
#include "compiler/pipeline/Dialects.h"
#include "compiler/pipeline/Pipeline.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  epigraph::registerDialects(registry);
  epigraph::registerPasses();
  epigraph::registerPhasePipelines();
  mlir::MLIRContext context(registry);
  return mlir::failed(mlir::mlirReduceMain(argc, argv, context));
}
