// Copies rows to, and from, the two halves of a batch: the first ceil(rows / 2) rows, and the rest.
// Tiles count the rows of the whole.
#include "codegen/cpu/KernelBuilders.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kTileRows = 8;

/// Rows of `rowBytes` bytes of a batch, and where they lie when it is halved.
struct Halves {
  Value first, second;
  int64_t rowBytes;

  /// The address of the batch's row `row`.
  Value addressOf(KernelFrame &frame, Value row) const {
    KernelEmitter &e = frame.e;
    Value inSecond = e.subtract(row, sizeOfFirst(frame));
    return e.select(e.isLess(row, sizeOfFirst(frame)), e.element(first, row, rowBytes),
                    e.element(second, inSecond, rowBytes));
  }

private:
  static Value sizeOfFirst(KernelFrame &frame) {
    return frame.e.divide(frame.e.add(frame.rows(), 1), 2);
  }
};

/// Calls `copy` with each row of the launch.
Tiling forRows(KernelFrame &frame, llvm::function_ref<void(Value row)> copy) {
  const Tiling tiling{kTileRows, 1};
  frame.forTiles(tiling,
                 [&](Value first, Value last, Value) { frame.e.forLoop(first, last, 1, copy); });
  return tiling;
}

LogicalResult requireContiguous(KernelFrame &frame, Operation *op, const TensorView &view) {
  if (view.isContiguous() && view.rowStride == view.elements())
    return success();
  return op->emitError("CPU kernel @")
         << frame.kernel.getSymName() << " needs operands whose rows are contiguous";
}

} // namespace

BuiltTiling buildHalveRows(KernelFrame &frame, epi::HalveRowsOp op) {
  FailureOr<TensorView> x = frame.view(op, op.getX(), "x");
  FailureOr<unsigned> first = frame.yieldedAs(op, op.getFirst());
  FailureOr<unsigned> second = frame.yieldedAs(op, op.getSecond());
  if (failed(x) || failed(first) || failed(second) || failed(requireContiguous(frame, op, *x)))
    return failure();
  const int64_t rowBytes = x->elements() * byteSize(x->elementType);
  const Halves halves{frame.resultAddress(*first), frame.resultAddress(*second), rowBytes};
  return forRows(frame, [&](Value row) {
    frame.e.copyBytes(frame.rowAddress(*x, row), halves.addressOf(frame, row), rowBytes);
  });
}

BuiltTiling buildJoinRows(KernelFrame &frame, epi::JoinRowsOp op) {
  FailureOr<TensorView> first = frame.view(op, op.getFirst(), "first");
  FailureOr<TensorView> second = frame.view(op, op.getSecond(), "second");
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(first) || failed(second) || failed(result) ||
      failed(requireContiguous(frame, op, *first)) || failed(requireContiguous(frame, op, *second)))
    return failure();
  Value zero = frame.e.constant(0);
  const int64_t rowBytes = first->elements() * byteSize(first->elementType);
  const Halves halves{frame.rowAddress(*first, zero), frame.rowAddress(*second, zero), rowBytes};
  return forRows(frame, [&](Value row) {
    frame.e.copyBytes(halves.addressOf(frame, row), frame.resultRow(*result, row), rowBytes);
  });
}

} // namespace epigraph::cpu
