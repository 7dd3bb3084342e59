// The CUDA code of an artifact: one cubin with the device functions of every exec.kernel of a
// module, and how they are launched.
#ifndef EPIGRAPH_CODEGEN_CUDA_KERNELLIBRARY_H
#define EPIGRAPH_CODEGEN_CUDA_KERNELLIBRARY_H

#include "codegen/target/CudaTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/artifact/DeviceKernel.h"

#include <string>

namespace epigraph::cuda {

struct KernelLibrary {
  std::string cubin;       ///< machine code; equal inputs give equal bytes
  std::string ptx;         ///< what it was assembled from
  std::string kernelsMlir; ///< text of the device functions before lowering, for --dump-phases
  DeviceKernels launches;  ///< in the order of the module's exec.kernel operations
};

/// The symbol of the first device function of the kernel `name`: `name` with '_' in place of what
/// PTX identifiers do not have.
std::string deviceSymbol(llvm::StringRef name);

/// Compiles every exec.kernel of `module` for `target` into `library`; `hasRandomWeights`: and what
/// makes them. The module's context gets
/// the dialects of code generation, so no pass may be running on it. Needs NVIDIA's assembler
/// (Cubin.h). Diagnostics say which operation the CUDA target cannot compile, why, and what to do.
mlir::LogicalResult buildKernelLibrary(mlir::ModuleOp module, const CudaTarget &target,
                                       KernelLibrary &library, bool hasRandomWeights = false);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_KERNELLIBRARY_H
