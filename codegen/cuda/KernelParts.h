// A kernel that is computed, for launches with many rows, as several kernels one after the other:
// its parts. Each is built as any kernel is, and launched with the pointers of the whole, so what
// one part leaves for another lies in a result of the whole.
#ifndef EPIGRAPH_CODEGEN_CUDA_KERNELPARTS_H
#define EPIGRAPH_CODEGEN_CUDA_KERNELPARTS_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

/// Builds `ops` of the assembly's kernel, in the order of its body, as a kernel of their own, whose
/// symbol ends in `suffix`. What they read of other operations, and others of them, the kernel must
/// yield; there is a diagnostic if it does not.
mlir::FailureOr<DeviceKernel>
buildPart(KernelAssembly &assembly, llvm::ArrayRef<mlir::Operation *> ops, llvm::StringRef suffix);

/// Adds variants for launches with more than `fewerRows` rows, up to any number: those of all
/// `parts`, one after the other.
void addParts(KernelAssembly &assembly, llvm::ArrayRef<DeviceKernel> parts, int64_t fewerRows);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_KERNELPARTS_H
