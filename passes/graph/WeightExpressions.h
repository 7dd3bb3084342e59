// Weight expressions: values that depend on the checkpoint alone. Passes may move them freely, and
// the schedule moves them out of the step altogether (--exec-hoist-weights).
#ifndef EPIGRAPH_PASSES_GRAPH_WEIGHTEXPRESSIONS_H
#define EPIGRAPH_PASSES_GRAPH_WEIGHTEXPRESSIONS_H

#include "mlir/IR/Operation.h"

namespace epigraph {

/// True if `op` may stand in a weight program: a leaf (`epi.weight`, `epi.weight_stack`,
/// `epi.rope_table`), or an operation that the packer evaluates on leaves (cast, dequantize,
/// concat, split, reshape, transpose, `ep.local_experts`).
bool isWeightOp(mlir::Operation *op);

/// True if `op` is a leaf of weight programs.
bool isWeightLeaf(mlir::Operation *op);

/// True if `value` is computed by weight operations alone.
bool isWeightExpression(mlir::Value value);

/// True if `value` is a dequantized weight, or made of such alone by joining and by taking ranks'
/// parts: what --epi-fold-dequantize can hand to a product as values and scales.
bool isQuantizedWeight(mlir::Value value);

/// Moves the operations that compute the weight expression `value`, as far as they come after
/// `position` in its block, to just before it.
void moveWeightBefore(mlir::Value value, mlir::Operation *position);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_GRAPH_WEIGHTEXPRESSIONS_H
