// Follows splits and reshapes from a value back to its argument. A reshape keeps strides wherever
// the dimensions that it regroups are contiguous among themselves.
#include "codegen/target/TensorView.h"

#include "dialects/epi/Epi.h"

using namespace mlir;

namespace epigraph {
namespace {

TensorView viewOfArgument(BlockArgument argument, RankedTensorType type) {
  TensorView view;
  view.argument = argument;
  view.elementType = type.getElementType();
  view.hasRows = type.getRank() > 0 && type.isDynamicDim(0);
  view.shape = staticShape(type);
  view.strides.resize(view.shape.size());
  int64_t stride = 1;
  for (size_t i = view.shape.size(); i-- > 0; stride *= view.shape[i])
    view.strides[i] = stride;
  view.rowStride = view.hasRows ? stride : 0;
  return view;
}

/// The dimensions of `view` with neighbours joined wherever memory allows, sizes of 1 dropped.
void joinDimensions(const TensorView &view, SmallVectorImpl<int64_t> &sizes,
                    SmallVectorImpl<int64_t> &strides) {
  for (auto [size, stride] : llvm::zip_equal(view.shape, view.strides)) {
    if (size == 1)
      continue;
    if (!sizes.empty() && strides.back() == size * stride) {
      sizes.back() *= size;
      strides.back() = stride;
      continue;
    }
    sizes.push_back(size);
    strides.push_back(stride);
  }
}

/// Gives `view` the shape `shape`: each joined dimension is divided into new ones, from the last
/// on.
bool reshape(TensorView &view, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> sizes, joined;
  joinDimensions(view, sizes, joined);
  SmallVector<int64_t> strides(shape.size(), 1);
  size_t group = sizes.size();
  int64_t left = 1, stride = 1; // of the group being divided: elements not yet taken, next stride
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1)
      continue;
    if (left == 1) {
      if (group == 0)
        return false;
      --group;
      left = sizes[group];
      stride = joined[group];
    }
    if (left % shape[i])
      return false;
    strides[i] = stride;
    stride *= shape[i];
    left /= shape[i];
  }
  view.shape.assign(shape.begin(), shape.end());
  view.strides = std::move(strides);
  return true;
}

} // namespace

int64_t TensorView::elements() const {
  int64_t product = 1;
  for (int64_t size : shape)
    product *= size;
  return product;
}

bool TensorView::isContiguous() const {
  SmallVector<int64_t> sizes, joined;
  joinDimensions(*this, sizes, joined);
  return sizes.empty() || (sizes.size() == 1 && joined[0] == 1);
}

SmallVector<int64_t> staticShape(RankedTensorType type) {
  const bool hasRows = type.getRank() > 0 && type.isDynamicDim(0);
  return SmallVector<int64_t>(type.getShape().drop_front(hasRows));
}

std::optional<TensorView> resolveView(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return std::nullopt;
  if (auto argument = dyn_cast<BlockArgument>(value))
    return viewOfArgument(argument, type);
  if (auto split = value.getDefiningOp<epi::SplitOp>()) {
    std::optional<TensorView> view = resolveView(split.getX());
    if (!view)
      return std::nullopt;
    const int64_t dim = split.getDim() - view->hasRows;
    const unsigned part = cast<OpResult>(value).getResultNumber();
    view->offset += split.getOffset(part) * view->strides[dim];
    view->shape = staticShape(type);
    return view;
  }
  if (auto reshaped = value.getDefiningOp<epi::ReshapeOp>()) {
    std::optional<TensorView> view = resolveView(reshaped.getX());
    if (!view || !reshape(*view, staticShape(type)))
      return std::nullopt;
    return view;
  }
  return std::nullopt;
}

} // namespace epigraph
