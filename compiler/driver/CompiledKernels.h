// The code of a module's kernels, whatever the target.
#ifndef EPIGRAPH_COMPILER_DRIVER_COMPILEDKERNELS_H
#define EPIGRAPH_COMPILER_DRIVER_COMPILEDKERNELS_H

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mlir/IR/BuiltinOps.h"

#include "codegen/target/Target.h"
#include "runtime/artifact/DeviceKernel.h"

namespace epigraph {

struct CompiledKernels {
  /// Of the artifact, by name.
  std::vector<std::pair<std::string, std::string>> files;
  std::string text;                    ///< of the kernels before lowering, for --dump-phases
  std::optional<DeviceKernels> device; ///< how they are launched; nothing: by the CPU driver
};

/// Compiles every exec.kernel of `module`, after codegen's passes, for `target`. Failure is a
/// diagnostic.
mlir::FailureOr<CompiledKernels> compileKernels(mlir::ModuleOp module, const Target &target);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_COMPILEDKERNELS_H
