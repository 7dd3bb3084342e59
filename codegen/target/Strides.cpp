#include "codegen/target/Strides.h"

#include "llvm/ADT/STLExtras.h"

namespace epigraph {

/// `shape` with neighbours joined wherever memory allows, sizes of 1 dropped.
static StridedShape joinDimensions(const StridedShape &shape) {
  StridedShape joined;
  for (auto [size, stride] : llvm::zip_equal(shape.sizes, shape.strides)) {
    if (size == 1)
      continue;
    if (!joined.sizes.empty() && joined.strides.back() == size * stride) {
      joined.sizes.back() *= size;
      joined.strides.back() = stride;
      continue;
    }
    joined.sizes.push_back(size);
    joined.strides.push_back(stride);
  }
  return joined;
}

StridedShape StridedShape::contiguous(llvm::ArrayRef<int64_t> sizes) {
  StridedShape shape;
  shape.sizes.assign(sizes.begin(), sizes.end());
  shape.strides.resize(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0; stride *= sizes[i])
    shape.strides[i] = stride;
  return shape;
}

/// Each joined dimension is divided into new ones, from the last on.
bool StridedShape::reshape(llvm::ArrayRef<int64_t> newSizes) {
  const StridedShape joined = joinDimensions(*this);
  llvm::SmallVector<int64_t> newStrides(newSizes.size(), 1);
  size_t group = joined.sizes.size();
  int64_t left = 1, stride = 1; // of the group being divided: elements not yet taken, next stride
  for (size_t i = newSizes.size(); i-- > 0;) {
    if (newSizes[i] == 1)
      continue;
    if (left == 1) {
      if (group == 0)
        return false;
      --group;
      left = joined.sizes[group];
      stride = joined.strides[group];
    }
    if (left % newSizes[i])
      return false;
    newStrides[i] = stride;
    stride *= newSizes[i];
    left /= newSizes[i];
  }
  sizes.assign(newSizes.begin(), newSizes.end());
  strides = std::move(newStrides);
  return true;
}

} // namespace epigraph
