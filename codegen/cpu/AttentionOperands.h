// What the attention kernels read: queries as views, the cache as an argument.
#ifndef EPIGRAPH_CODEGEN_CPU_ATTENTIONOPERANDS_H
#define EPIGRAPH_CODEGEN_CPU_ATTENTIONOPERANDS_H

#include "codegen/cpu/KernelFrame.h"

namespace epigraph::cpu {

/// The view of a query whose heads are contiguous inside, or a diagnostic.
mlir::FailureOr<TensorView> queryView(KernelFrame &frame, mlir::Operation *op, Value operand,
                                      llvm::StringRef name);

/// The argument that the cache of `op` is, or a diagnostic.
mlir::FailureOr<mlir::BlockArgument> cacheArgument(KernelFrame &frame, mlir::Operation *op,
                                                   Value cache);

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_ATTENTIONOPERANDS_H
