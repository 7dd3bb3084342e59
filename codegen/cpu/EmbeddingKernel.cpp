// Gathers of whole rows: embedding (by token id) and output_rows (by the step's list).
#include "codegen/cpu/KernelBuilders.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kTileRows = 8;

/// result[row] = source[indices[row]], with `source` an array of contiguous rows of `rowBytes`
/// bytes that are `strideBytes` apart.
Tiling gatherRows(KernelFrame &frame, Value source, int64_t strideBytes, int64_t rowBytes,
                  Value indices, unsigned result) {
  KernelEmitter &e = frame.e;
  const Tiling tiling{kTileRows, 1};
  frame.forTiles(tiling, [&](Value first, Value last, Value) {
    e.forLoop(first, last, 1, [&](Value row) {
      Value index = e.loadI32(e.element(indices, row, sizeof(int32_t)));
      e.copyBytes(e.element(source, index, strideBytes), frame.resultRow(result, row), rowBytes);
    });
  });
  return tiling;
}

} // namespace

BuiltTiling buildEmbedding(KernelFrame &frame, epi::EmbeddingOp op) {
  FailureOr<TensorView> ids = frame.view(op, op.getIds(), "ids");
  FailureOr<TensorView> table = frame.view(op, op.getTable(), "table");
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(ids) || failed(table) || failed(result))
    return failure();
  Value zero = frame.e.constant(0);
  const int64_t rowBytes = table->shape[1] * byteSize(table->elementType);
  return gatherRows(frame, frame.rowAddress(*table, zero), rowBytes, rowBytes,
                    frame.rowAddress(*ids, zero), *result);
}

BuiltTiling buildOutputRows(KernelFrame &frame, epi::OutputRowsOp op) {
  FailureOr<TensorView> x = frame.view(op, op.getX(), "x");
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(x) || failed(result))
    return failure();
  const int64_t bytes = byteSize(x->elementType);
  return gatherRows(frame, frame.rowAddress(*x, frame.e.constant(0)), x->rowStride * bytes,
                    x->elements() * bytes, frame.outputRows(), *result);
}

} // namespace epigraph::cpu
