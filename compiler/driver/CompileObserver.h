// Watching a compilation from inside: the IR after each pass. For tools that look for the pass that
// did something, such as bisect.
#ifndef EPIGRAPH_COMPILER_DRIVER_COMPILEOBSERVER_H
#define EPIGRAPH_COMPILER_DRIVER_COMPILEOBSERVER_H

#include <memory>
#include <string_view>

#include "compiler/driver/CompiledKernels.h"
#include "compiler/pipeline/Phase.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassInstrumentation.h"

namespace epigraph {

class CompileObserver {
public:
  virtual ~CompileObserver() = default;

  /// `module` after a pass of `phase`, named by its flag; a pass on functions is seen once for each
  /// of them. The importer counts as one, "import".
  virtual void afterPass(Phase phase, std::string_view pass, mlir::ModuleOp module) = 0;

  /// The module after codegen and the kernels that were made of it.
  virtual void afterKernels(mlir::ModuleOp module, const CompiledKernels &kernels) = 0;
};

/// Tells `observer`, which must outlive it, of every pass of `phase`.
std::unique_ptr<mlir::PassInstrumentation> observePasses(CompileObserver &observer, Phase phase);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_COMPILEOBSERVER_H
