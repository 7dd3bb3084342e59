// Shapes over memory that is not contiguous.
#ifndef EPIGRAPH_CODEGEN_TARGET_STRIDES_H
#define EPIGRAPH_CODEGEN_TARGET_STRIDES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace epigraph {

/// Sizes of the dimensions of a part of some memory, and the elements from one to the next in each.
struct StridedShape {
  llvm::SmallVector<int64_t> sizes;
  llvm::SmallVector<int64_t> strides;

  /// Row-major, without gaps.
  static StridedShape contiguous(llvm::ArrayRef<int64_t> sizes);

  /// Gives it the sizes `sizes`, with the elements in the same order. False, and nothing changes,
  /// if dimensions would be joined that are apart in memory.
  bool reshape(llvm::ArrayRef<int64_t> sizes);
};

} // namespace epigraph

#endif // EPIGRAPH_CODEGEN_TARGET_STRIDES_H
