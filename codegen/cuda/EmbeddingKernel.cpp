// Gathers of whole rows: embedding (by token id) and output_rows (by the step's list).
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/RowPieces.h"
#include "runtime/artifact/KernelAbi.h"

#include <cstddef>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kIndexBytes = sizeof(int32_t);

/// result[row] = the row of `source` whose index is at `indexAddress`. The source's elements lie
/// one after the other in each row; its rows are `stride` bytes apart.
void gatherRows(KernelAssembly &assembly, const TensorView &source, int64_t rowBytes,
                int64_t stride, unsigned result,
                llvm::function_ref<Val(KernelFrame &, Val row)> indexAddress) {
  const int64_t start = source.offset * bytesOf(source.elementType);
  const RowPieces pieces = RowPieces::of(rowBytes, {stride, start});
  assembly.beginVariant();
  addRowLaunch(assembly, pieces, [&](KernelFrame &frame, Val row, Val part) {
    Emitter &e = frame.e;
    pieces.forPiece(e, part, [&](Val piece) {
      Val index = e.load(e.i32(), indexAddress(frame, row));
      Val from = e.at(e.offset(frame.address(source.argument), start), index, stride);
      Val moved = e.load(pieces.type(e), e.at(from, piece, pieces.width));
      e.store(moved, e.at(frame.resultRow(result, row), piece, pieces.width));
    });
  });
}

} // namespace

LogicalResult buildEmbedding(KernelAssembly &assembly, epi::EmbeddingOp op) {
  FailureOr<TensorView> ids = assembly.view(op, op.getIds(), "ids");
  FailureOr<TensorView> table = assembly.view(op, op.getTable(), "table");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(ids) || failed(table) || failed(result))
    return failure();
  const int64_t rowBytes = table->shape[1] * bytesOf(table->elementType);
  gatherRows(assembly, *table, rowBytes, rowBytes, *result,
             [&](KernelFrame &frame, Val row) { return frame.rowAddress(*ids, row); });
  return success();
}

LogicalResult buildOutputRows(KernelAssembly &assembly, epi::OutputRowsOp op) {
  FailureOr<TensorView> x = assembly.view(op, op.getX(), "x");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(x) || failed(result))
    return failure();
  if (!x->isContiguous())
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs an x whose rows are contiguous";
  const int64_t bytes = bytesOf(x->elementType);
  gatherRows(assembly, *x, x->elements() * bytes, x->rowStride * bytes, *result,
             [](KernelFrame &frame, Val row) {
               return frame.e.at(frame.stepPointer(offsetof(DeviceStep, outputRows)), row,
                                 kIndexBytes);
             });
  return success();
}

} // namespace epigraph::cuda
