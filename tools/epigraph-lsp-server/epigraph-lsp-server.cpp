// epigraph-lsp-server: what editors ask about .mlir files (diagnostics, definitions, hovering),
// with Epigraph's dialects. Speaks the Language Server Protocol on standard input and output.
#include "compiler/pipeline/Dialects.h"

#include "mlir/IR/Dialect.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  epigraph::registerDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
