// Verifiers of the operations on quantized values, and of the scales of the products that take
// them.
#include "dialects/epi/Epi.h"
#include "dialects/epi/Verify.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace epigraph::epi;

SmallVector<int64_t, 3> epigraph::epi::scaleShape(ArrayRef<int64_t> shape,
                                                  ArrayRef<int64_t> block) {
  SmallVector<int64_t, 3> scales(shape);
  for (size_t i = 0; i < 2; ++i) {
    int64_t &size = scales[shape.size() - 2 + i];
    if (!ShapedType::isDynamic(size))
      size = llvm::divideCeil(size, block[i]);
  }
  return scales;
}

/// The scales of an operand called `name`: there if and only if it is quantized, one for each
/// block.
static LogicalResult verifyScalesOf(Operation *op, StringRef name, Value operand, Value scales,
                                    ArrayRef<int64_t> block) {
  auto type = cast<RankedTensorType>(operand.getType());
  bool isQuantized = isa<Float8E4M3FNType>(type.getElementType());
  if (isQuantized && !scales)
    return op->emitOpError() << name << " is quantized (" << type << ") but has no scales";
  if (!isQuantized && scales)
    return op->emitOpError() << name << " has scales but is not quantized, its type is " << type;
  if (!scales)
    return success();
  return verifyShape(op, ("the scales of " + name).str(), scales.getType(),
                     scaleShape(type.getShape(), block));
}

LogicalResult epigraph::epi::verifyScaledOperands(Operation *op, Value x, Value xScale, Value w,
                                                  Value wScale) {
  if (failed(verifyScalesOf(op, "x", x, xScale, {1, kScaleBlock})) ||
      failed(verifyScalesOf(op, "w", w, wScale, {kScaleBlock, kScaleBlock})))
    return failure();
  if (xScale && !wScale)
    return op->emitOpError("a quantized x needs a quantized w, whose type is ") << w.getType();
  return success();
}

LogicalResult DequantizeOp::verify() {
  ArrayRef<int64_t> block = getBlock();
  if (block.size() != 2 || block[0] < 1 || block[1] < 1) // (C1)
    return emitOpError("block must be two positive sizes, got [") << block << "]";
  ArrayRef<int64_t> shape = cast<RankedTensorType>(getX().getType()).getShape();
  if (failed(verifyShape(*this, "scales", getScales().getType(), scaleShape(shape, block)))) // (C2)
    return failure();
  return verifyShape(*this, "the result", getResult().getType(), shape); // (C3)
}

void QuantizeOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getQuantized(), "quantized");
  setName(getScales(), "scales");
}

LogicalResult QuantizeOp::verify() {
  ArrayRef<int64_t> block = getBlock();
  if (block.size() != 2 || block[0] != 1 || block[1] < 1) // (C1)
    return emitOpError("block must be one row and a positive number of columns, got [")
           << block << "]";
  ArrayRef<int64_t> shape = cast<RankedTensorType>(getX().getType()).getShape();
  if (failed(verifyShape(*this, "quantized", getQuantized().getType(), shape))) // (C2)
    return failure();
  return verifyShape(*this, "scales", getScales().getType(), scaleShape(shape, block)); // (C3)
}
