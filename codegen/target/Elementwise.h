// Which operations work element by element, for the code generators of all targets.
#ifndef EPIGRAPH_CODEGEN_TARGET_ELEMENTWISE_H
#define EPIGRAPH_CODEGEN_TARGET_ELEMENTWISE_H

#include "dialects/epi/Epi.h"

namespace epigraph {

/// Whether each element of the result of `op` depends on one element of each operand. Not of null.
bool isElementwise(mlir::Operation *op);

/// How the operand's elements meet those of its operation's result. `Columns`: the second operand
/// of epi.add or epi.mul where it is a vector, or the weight of epi.rms_norm.
epi::Broadcast broadcastOf(mlir::OpOperand &operand);

} // namespace epigraph

#endif // EPIGRAPH_CODEGEN_TARGET_ELEMENTWISE_H
