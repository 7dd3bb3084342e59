// Copies rows to, and from, the two halves of a batch: the first ceil(rows / 2) rows, and the rest.
// Launches count the rows of the whole.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/RowPieces.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// The address of a batch's row `row`, of `rowBytes` bytes, when halves of the batch lie at `first`
/// and `second`.
Val rowInHalves(KernelFrame &frame, Val first, Val second, Val row, int64_t rowBytes) {
  Emitter &e = frame.e;
  Val sizeOfFirst = (frame.rows() + 1) / 2;
  Val isInFirst = row < sizeOfFirst;
  return e.at(e.select(isInFirst, first, second), e.select(isInFirst, row, row - sizeOfFirst),
              rowBytes);
}

LogicalResult requireContiguous(KernelAssembly &assembly, Operation *op, const TensorView &view) {
  if (view.isContiguous() && view.rowStride == view.elements())
    return success();
  return op->emitError("CUDA kernel @")
         << assembly.kernel.getSymName() << " needs operands whose rows are contiguous";
}

/// One launch that copies each row of the batch from one address to another.
void copyRows(KernelAssembly &assembly, int64_t rowBytes,
              llvm::function_ref<std::pair<Val, Val>(KernelFrame &, Val row)> fromAndTo) {
  const RowPieces pieces = RowPieces::of(rowBytes, {});
  assembly.beginVariant();
  addRowLaunch(assembly, pieces, [&](KernelFrame &frame, Val row, Val part) {
    Emitter &e = frame.e;
    pieces.forPiece(e, part, [&](Val piece) {
      auto [from, to] = fromAndTo(frame, row);
      e.store(e.load(pieces.type(e), e.at(from, piece, pieces.width)),
              e.at(to, piece, pieces.width));
    });
  });
}

} // namespace

LogicalResult buildHalveRows(KernelAssembly &assembly, epi::HalveRowsOp op) {
  FailureOr<TensorView> x = assembly.view(op, op.getX(), "x");
  FailureOr<unsigned> first = assembly.yieldedAs(op, op.getFirst());
  FailureOr<unsigned> second = assembly.yieldedAs(op, op.getSecond());
  if (failed(x) || failed(first) || failed(second) || failed(requireContiguous(assembly, op, *x)))
    return failure();
  const int64_t rowBytes = x->elements() * bytesOf(x->elementType);
  copyRows(assembly, rowBytes, [&](KernelFrame &frame, Val row) {
    return std::pair(frame.rowAddress(*x, row), rowInHalves(frame, frame.result(*first),
                                                            frame.result(*second), row, rowBytes));
  });
  return success();
}

LogicalResult buildJoinRows(KernelAssembly &assembly, epi::JoinRowsOp op) {
  FailureOr<TensorView> first = assembly.view(op, op.getFirst(), "first");
  FailureOr<TensorView> second = assembly.view(op, op.getSecond(), "second");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(first) || failed(second) || failed(result) ||
      failed(requireContiguous(assembly, op, *first)) ||
      failed(requireContiguous(assembly, op, *second)))
    return failure();
  const int64_t rowBytes = first->elements() * bytesOf(first->elementType);
  copyRows(assembly, rowBytes, [&](KernelFrame &frame, Val row) {
    Val zero = frame.e.i32(0);
    return std::pair(rowInHalves(frame, frame.rowAddress(*first, zero),
                                 frame.rowAddress(*second, zero), row, rowBytes),
                     frame.resultRow(*result, row));
  });
  return success();
}

} // namespace epigraph::cuda
