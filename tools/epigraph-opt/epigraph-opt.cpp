// epigraph-opt: mlir-opt with Epigraph's dialects, passes and phases, and all its flags.
#include "compiler/pipeline/Pipeline.h"
#include "dialects/exec/Exec.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<epigraph::epi::EpiDialect, epigraph::ep::EpDialect, epigraph::exec::ExecDialect,
                  mlir::func::FuncDialect>();
  epigraph::registerPasses();
  epigraph::registerPhasePipelines();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Epigraph's passes on text or bytecode\n", registry));
}
