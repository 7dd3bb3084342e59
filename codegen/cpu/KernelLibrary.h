// The CPU code of an artifact: one shared object with a function for each exec.kernel of a module.
#ifndef EPIGRAPH_CODEGEN_CPU_KERNELLIBRARY_H
#define EPIGRAPH_CODEGEN_CPU_KERNELLIBRARY_H

#include "codegen/target/CpuTarget.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace epigraph::cpu {

struct KernelLibrary {
  std::string sharedObject; ///< bytes of an ELF shared object; equal inputs give equal bytes
  std::string kernelsMlir;  ///< text of the kernels before lowering, for --dump-phases
};

/// The symbol of the kernel `name` in the shared object: `name` with '_' in place of what C
/// identifiers do not have. Its type is KernelFunction (runtime/artifact/KernelAbi.h).
std::string kernelSymbol(llvm::StringRef name);

/// Compiles every exec.kernel of `module` for `target` into `library`, and sets the `tiling` of
/// each. Weights must be packed (--cpu-pack-weights). The module's context gets the dialects of
/// code generation, so no pass may be running on it. Diagnostics say which operation the CPU target
/// cannot compile, why, and what to do.
mlir::LogicalResult buildKernelLibrary(mlir::ModuleOp module, const CpuTarget &target,
                                       KernelLibrary &library);

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_KERNELLIBRARY_H
