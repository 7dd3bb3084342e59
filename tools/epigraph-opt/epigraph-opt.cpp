// epigraph-opt: mlir-opt with Epigraph's dialects, passes and phases, and all its flags.
#include "codegen/cpu/Passes.h"
#include "compiler/pipeline/Pipeline.h"
#include "dialects/exec/Exec.h"
#include "passes/graph/Passes.h"
#include "passes/partition/Passes.h"
#include "passes/quant/Passes.h"
#include "passes/schedule/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<epigraph::epi::EpiDialect, epigraph::ep::EpDialect, epigraph::exec::ExecDialect,
                  mlir::func::FuncDialect>();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  epigraph::registerCpuPasses();
  epigraph::registerGraphPasses();
  epigraph::registerQuantPasses();
  epigraph::registerPartitionPasses();
  epigraph::registerSchedulePasses();
  epigraph::registerPhasePipelines();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Epigraph's passes on text or bytecode\n", registry));
}
