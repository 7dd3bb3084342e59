// Expressions are followed from what the kernel yields down to the projection's result, which is in
// registers, and to arguments, which are loaded where they meet it. Nothing is kept between
// vectors: an epilogue is short beside the sum over K that it follows.
#include "codegen/cpu/LinearEpilogue.h"
#include "codegen/cpu/Elementwise.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

Value roundTo(KernelEmitter &e, Type elementType, Value exact) {
  return elementType.isBF16() ? e.roundToBf16(exact) : exact;
}

} // namespace

FailureOr<LinearEpilogue> LinearEpilogue::create(KernelFrame &frame, Operation *projection) {
  LinearEpilogue epilogue(frame, projection->getResult(0));
  for (Operation &op : frame.kernel.getBody().front().without_terminator())
    if (isElementwise(&op))
      for (Value operand : op.getOperands())
        if (failed(epilogue.readOperand(&op, operand)))
          return failure();
  if (failed(epilogue.checkResults(projection)))
    return failure();
  return epilogue;
}

LogicalResult LinearEpilogue::readOperand(Operation *op, Value operand) {
  if (operand == projected || isElementwise(operand.getDefiningOp()))
    return success();
  FailureOr<TensorView> view = frame.view(op, operand, "operand");
  if (failed(view))
    return failure();
  if (view->elements() != 1 && view->strides.back() != 1)
    return op->emitError("CPU kernel @")
           << frame.kernel.getSymName() << " needs an operand whose last dimension is contiguous";
  views[operand.getAsOpaquePointer()] = *view;
  return success();
}

LogicalResult LinearEpilogue::checkResults(Operation *projection) {
  for (Value value : frame.kernel.getBody().front().getTerminator()->getOperands()) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    const bool isComputed = value == projected || isElementwise(value.getDefiningOp());
    if (!isComputed || !type || type.getShape() != typeOf(projected).getShape())
      return projection->emitError("CPU kernel @")
             << frame.kernel.getSymName() << " yields a value of type " << value.getType()
             << ", but can store only this operation's result and what elementwise operations make "
                "of it, all of one shape; outline what follows as a kernel of its own";
  }
  return success();
}

void LinearEpilogue::store(Value sums, const ResultPlace &place) {
  KernelEmitter &e = frame.e;
  Known known;
  Operation *yield = frame.kernel.getBody().front().getTerminator();
  for (auto [index, value] : llvm::enumerate(yield->getOperands())) {
    auto type = typeOf(value);
    int64_t rowElements = 1;
    for (int64_t size : staticShape(type))
      rowElements *= size;
    Value address = addressOf(frame.resultAddress(index), rowElements, type.getShape().back(),
                              byteSize(type.getElementType()), place);
    e.storePartial(exact(value, sums, place, known), place.count, address, type.getElementType());
  }
}

Value LinearEpilogue::exact(Value value, Value sums, const ResultPlace &place, Known &known) {
  if (value == projected)
    return sums;
  // References into a std::map stay valid while the operands are computed.
  Value &result = known[value.getAsOpaquePointer()];
  if (result)
    return result;
  if (auto view = views.find(value.getAsOpaquePointer()); view != views.end())
    return result = load(view->second, place);
  Values operands;
  for (OpOperand &operand : value.getDefiningOp()->getOpOperands())
    operands.push_back(broadcastOf(operand) == epi::Broadcast::Rows
                           ? frame.e.broadcast(loadOfRow(operand.get(), place), frame.e.width())
                           : rounded(operand.get(), sums, place, known));
  return result = computeElementwise(frame.e, value.getDefiningOp(), operands);
}

Value LinearEpilogue::rounded(Value value, Value sums, const ResultPlace &place, Known &known) {
  return roundTo(frame.e, typeOf(value).getElementType(), exact(value, sums, place, known));
}

Value LinearEpilogue::load(const TensorView &view, const ResultPlace &place) {
  KernelEmitter &e = frame.e;
  Value address = frame.rowAddress(view, e.constant(0));
  const int64_t bytes = byteSize(view.elementType);
  if (!view.hasRows) // a vector that meets every row
    address = e.advance(e.element(address, place.column, bytes), place.columnOffset * bytes);
  else
    address = addressOf(address, view.rowStride, place.head ? view.strides[0] : 0, bytes, place);
  return e.loadPartial(address, place.count, view.elementType, e.width());
}

/// The one value, a scalar, of a row of `value`.
Value LinearEpilogue::loadOfRow(Value value, const ResultPlace &place) {
  KernelEmitter &e = frame.e;
  if (auto found = views.find(value.getAsOpaquePointer()); found != views.end()) {
    const TensorView &view = found->second;
    return e.loadFloat(frame.rowAddress(view, e.add(place.row, place.rowOffset)), view.elementType);
  }
  Operation *op = value.getDefiningOp();
  Values operands = llvm::map_to_vector(op->getOperands(),
                                        [&](Value operand) { return loadOfRow(operand, place); });
  return roundTo(e, typeOf(value).getElementType(), computeElementwise(e, op, operands));
}

/// Strides are in elements of `bytes`.
Value LinearEpilogue::addressOf(Value base, int64_t rowStride, int64_t headStride, int64_t bytes,
                                const ResultPlace &place) {
  KernelEmitter &e = frame.e;
  if (place.head)
    base = e.element(base, place.head, headStride * bytes);
  base = e.element(base, place.column, bytes);
  base = e.element(base, place.row, rowStride * bytes);
  return e.advance(base, (place.rowOffset * rowStride + place.columnOffset) * bytes);
}

} // namespace epigraph::cpu
