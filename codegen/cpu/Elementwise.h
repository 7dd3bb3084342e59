// The arithmetic of elementwise operations, shared by the row kernels and by what projections do to
// their results before they store them.
#ifndef EPIGRAPH_CODEGEN_CPU_ELEMENTWISE_H
#define EPIGRAPH_CODEGEN_CPU_ELEMENTWISE_H

#include "codegen/cpu/KernelEmitter.h"
#include "dialects/epi/Epi.h"

namespace epigraph::cpu {

/// Whether each element of the result of `op` depends on one element of each operand.
bool isElementwise(mlir::Operation *op);

/// How the operand's elements meet those of its operation's result. `Columns`: the second operand
/// of epi.add or epi.mul where it is a vector, or the weight of epi.rms_norm.
epi::Broadcast broadcastOf(mlir::OpOperand &operand);

/// The result of an elementwise `op`, before it is rounded to its type. `operands` are float32:
/// scalars, or vectors of one width.
Value computeElementwise(KernelEmitter &e, mlir::Operation *op, mlir::ArrayRef<Value> operands);

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_ELEMENTWISE_H
