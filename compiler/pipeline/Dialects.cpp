#include "compiler/pipeline/Dialects.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "dialects/exec/Exec.h"

namespace epigraph {

void registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, mlir::func::FuncDialect>();
}

} // namespace epigraph
