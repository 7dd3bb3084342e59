// From a module of emitted kernels to machine code.
#ifndef EPIGRAPH_CODEGEN_CPU_OBJECTEMISSION_H
#define EPIGRAPH_CODEGEN_CPU_OBJECTEMISSION_H

#include "codegen/target/CpuTarget.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace epigraph::cpu {

/// Lowers func, scf, arith, math, vector and x86vector to the LLVM dialect.
mlir::LogicalResult lowerKernels(mlir::ModuleOp kernels);

/// Compiles lowered kernels, each part on a thread of its own. The i-th result is the ELF object of
/// the i-th part.
mlir::FailureOr<std::vector<std::string>>
compileObjects(llvm::ArrayRef<mlir::OwningOpRef<mlir::ModuleOp>> parts, const CpuTarget &target);

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_OBJECTEMISSION_H
