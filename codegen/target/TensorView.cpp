// Follows splits and reshapes from a value back to its argument. A reshape keeps strides wherever
// the dimensions that it regroups are contiguous among themselves.
#include "codegen/target/TensorView.h"

#include "codegen/target/Strides.h"
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
  view.strides = StridedShape::contiguous(view.shape).strides;
  view.rowStride = view.hasRows ? view.elements() : 0;
  return view;
}

/// Gives `view` the shape `shape`; false if it cannot have it.
bool reshape(TensorView &view, ArrayRef<int64_t> shape) {
  StridedShape strided{view.shape, view.strides};
  if (!strided.reshape(shape))
    return false;
  view.shape = std::move(strided.sizes);
  view.strides = std::move(strided.strides);
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
  StridedShape joined{shape, strides};
  return joined.reshape(elements()) && (elements() == 1 || joined.strides.front() == 1);
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
