// A quantized weight as the two tensors that it is: FP8 values, and the scales of their blocks.
// What slices or joins the dequantized weight is done to both.
#ifndef EPIGRAPH_PASSES_QUANT_QUANTIZEDWEIGHTS_H
#define EPIGRAPH_PASSES_QUANT_QUANTIZEDWEIGHTS_H

#include <string>

#include "mlir/IR/Builders.h"

namespace epigraph {

/// Why a dequantized weight cannot be read as values and scales.
struct QuantizedObstacle {
  mlir::Operation *op = nullptr; ///< null: nothing is in the way
  std::string reason;            ///< "it is reshaped"
  bool cutsBlock = false;        ///< `op` takes ranks' parts, which share a block
};

/// What is in the way of taking `weight`, a weight expression, apart.
QuantizedObstacle findQuantizedObstacle(mlir::Value weight);

struct QuantizedWeight {
  mlir::Value values;     ///< f8E4M3FN
  mlir::Value scales;     ///< f32, one for each 128x128 block of the values
  bool isRetiled = false; ///< some scales are repeated
};

/// `weight`, in whose way nothing is, in two; `builder` stands before its user.
QuantizedWeight takeApart(mlir::OpBuilder &builder, mlir::Value weight);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_QUANT_QUANTIZEDWEIGHTS_H
