// Where the elements of a kernel's value lie. A view (epi.split, epi.reshape of an argument) is
// never copied: kernels read it through an offset and strides, worked out here at compile time.
#ifndef EPIGRAPH_CODEGEN_TARGET_TENSORVIEW_H
#define EPIGRAPH_CODEGEN_TARGET_TENSORVIEW_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace epigraph {

/// A strided part of a kernel argument. Sizes and strides are in elements. A tensor with a dynamic
/// first dimension has rows; `shape` and `strides` are of the other dimensions.
struct TensorView {
  mlir::BlockArgument argument;
  mlir::Type elementType;
  bool hasRows = false;
  int64_t rowStride = 0; ///< elements from one row to the next; 0 without rows
  int64_t offset = 0;    ///< of the first element, from the argument's address
  llvm::SmallVector<int64_t> shape;
  llvm::SmallVector<int64_t> strides;

  /// Elements of one row (of all, without rows).
  int64_t elements() const;
  /// Whether a row's elements follow one another.
  bool isContiguous() const;
};

/// The static sizes of `type`: all dimensions but the rows.
llvm::SmallVector<int64_t> staticShape(mlir::RankedTensorType type);

/// The view that `value` is: an argument, or splits and reshapes of one. None if an operation
/// computes it, or if a reshape joins dimensions that are apart in memory.
std::optional<TensorView> resolveView(mlir::Value value);

} // namespace epigraph

#endif // EPIGRAPH_CODEGEN_TARGET_TENSORVIEW_H
