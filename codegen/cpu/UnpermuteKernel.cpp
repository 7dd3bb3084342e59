// The weighted sum of the rows that came back for each token, in the order of its choices.
#include "codegen/cpu/KernelBuilders.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kTileRows = 8;

} // namespace

BuiltTiling buildUnpermute(KernelFrame &frame, epi::UnpermuteOp op) {
  FailureOr<TensorView> rows = frame.view(op, op.getRows(), "rows");
  FailureOr<TensorView> slots = frame.view(op, op.getSlots(), "slots");
  FailureOr<TensorView> weights = frame.view(op, op.getWeights(), "weights");
  FailureOr<unsigned> result = frame.yieldedAs(op, op.getResult());
  if (failed(rows) || failed(slots) || failed(weights) || failed(result))
    return failure();
  KernelEmitter &e = frame.e;
  const int64_t hidden = rows->shape[0], topK = slots->shape[0];
  const int64_t rowBytes = rows->rowStride * byteSize(rows->elementType);
  Type resultType = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  Value source = frame.rowAddress(*rows, e.constant(0));
  const Tiling tiling{kTileRows, 1};
  frame.forTiles(tiling, [&](Value first, Value last, Value) {
    e.forLoop(first, last, 1, [&](Value row) {
      Value slotsOfRow = frame.rowAddress(*slots, row);
      Value weightsOfRow = frame.rowAddress(*weights, row);
      Value to = frame.resultRow(*result, row);
      e.forColumns(hidden, [&](Value column, int64_t width) {
        Values sum = e.forLoop(
            e.constant(0), e.constant(topK), 1, {e.number(0.0, width)},
            [&](Value choice, Values carried) -> Values {
              Value slot = e.loadI32(e.element(slotsOfRow, choice, sizeof(int32_t)));
              Value weight = e.loadFloat(e.element(weightsOfRow, choice, 4), weights->elementType);
              Value from =
                  e.element(e.element(source, slot, rowBytes), column, byteSize(rows->elementType));
              return {e.fma(e.broadcast(weight, width),
                            e.loadFloats(from, rows->elementType, width), carried[0])};
            });
        e.storeFloats(sum[0], e.element(to, column, byteSize(resultType)), resultType);
      });
    });
  });
  return tiling;
}

} // namespace epigraph::cpu
