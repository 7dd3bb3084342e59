// Checks that verifiers of several families share.
#ifndef EPIGRAPH_DIALECTS_EPI_VERIFY_H
#define EPIGRAPH_DIALECTS_EPI_VERIFY_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"

namespace epigraph::epi {

/// `what` of `op` must have `shape`; an unknown extent of either side matches anything.
inline llvm::LogicalResult verifyShape(mlir::Operation *op, llvm::StringRef what, mlir::Type type,
                                       llvm::ArrayRef<int64_t> shape) {
  auto tensor = llvm::cast<mlir::RankedTensorType>(type);
  auto agrees = [](int64_t a, int64_t b) {
    return mlir::ShapedType::isDynamic(a) || mlir::ShapedType::isDynamic(b) || a == b;
  };
  bool equal = tensor.getRank() == static_cast<int64_t>(shape.size());
  for (int64_t i = 0; equal && i < tensor.getRank(); ++i)
    equal = agrees(tensor.getDimSize(i), shape[i]);
  if (equal)
    return llvm::success();
  mlir::InFlightDiagnostic diagnostic = op->emitOpError() << what << " must have shape [";
  llvm::interleaveComma(shape, diagnostic, [&](int64_t size) {
    if (mlir::ShapedType::isDynamic(size))
      diagnostic << "?";
    else
      diagnostic << size;
  });
  return diagnostic << "], but its type is " << type;
}

inline int64_t dim(mlir::Type type, unsigned index) {
  return llvm::cast<mlir::RankedTensorType>(type).getDimSize(index);
}

inline mlir::Type elementOf(mlir::Type type) {
  return llvm::cast<mlir::RankedTensorType>(type).getElementType();
}

/// Scales of a product's operands: those that are quantized have them, one for each block. `xScale`
/// and `wScale` may be null.
llvm::LogicalResult verifyScaledOperands(mlir::Operation *op, mlir::Value x, mlir::Value xScale,
                                         mlir::Value w, mlir::Value wScale);

} // namespace epigraph::epi

#endif // EPIGRAPH_DIALECTS_EPI_VERIFY_H
