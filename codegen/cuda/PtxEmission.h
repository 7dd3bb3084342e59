// Device functions in llvm, nvvm, scf, arith and math operations, to PTX.
#ifndef EPIGRAPH_CODEGEN_CUDA_PTXEMISSION_H
#define EPIGRAPH_CODEGEN_CUDA_PTXEMISSION_H

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace epigraph::cuda {

/// Lowers `module` in place to the llvm dialect, and compiles it to PTX for `architecture`
/// ("sm_90a"). Failure is a diagnostic: the module does not verify, or has operations that LLVM's
/// NVPTX back end cannot compile.
mlir::FailureOr<std::string> emitPtx(mlir::ModuleOp module, llvm::StringRef architecture);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_PTXEMISSION_H
