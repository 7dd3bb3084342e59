// The arithmetic of elementwise operations, shared by the row kernels and by what projections do to
// their results before they store them.
#ifndef EPIGRAPH_CODEGEN_CPU_ELEMENTWISE_H
#define EPIGRAPH_CODEGEN_CPU_ELEMENTWISE_H

#include "codegen/cpu/KernelEmitter.h"
#include "codegen/target/Elementwise.h"

namespace epigraph::cpu {

/// The result of an elementwise `op`, before it is rounded to its type. `operands` are float32:
/// scalars, or vectors of one width.
Value computeElementwise(KernelEmitter &e, mlir::Operation *op, mlir::ArrayRef<Value> operands);

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_ELEMENTWISE_H
