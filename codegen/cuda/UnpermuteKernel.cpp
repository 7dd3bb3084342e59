// The weighted sum of the rows that came back for each token, in the order of its choices. Each
// thread adds up a few columns of one token; all of its loads are under way at once.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/RowPieces.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kAccessBytes = 16;
constexpr int64_t kIndexBytes = sizeof(int32_t);

} // namespace

LogicalResult buildUnpermute(KernelAssembly &assembly, epi::UnpermuteOp op) {
  FailureOr<TensorView> rows = assembly.view(op, op.getRows(), "rows");
  FailureOr<TensorView> slots = assembly.view(op, op.getSlots(), "slots");
  FailureOr<TensorView> weights = assembly.view(op, op.getWeights(), "weights");
  FailureOr<unsigned> result = assembly.yieldedAs(op, op.getResult());
  if (failed(rows) || failed(slots) || failed(weights) || failed(result))
    return failure();
  if (!rows->isContiguous())
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs rows that are contiguous";
  Type from = rows->elementType;
  Type to = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  const int64_t bytes = bytesOf(from), topK = slots->shape[0];
  const int64_t wider = std::max(bytes, bytesOf(to));
  const RowPieces pieces =
      RowPieces::of(rows->shape[0] * bytes, {rows->rowStride * bytes, rows->offset * bytes},
                    /*mostThreads=*/128, /*leastThreads=*/32,
                    /*mostWidth=*/kAccessBytes / wider * bytes);
  const int64_t columns = pieces.width / bytes;
  assembly.beginVariant();
  addRowLaunch(assembly, pieces, [&](KernelFrame &frame, Val row, Val part) {
    Emitter &e = frame.e;
    pieces.forPiece(e, part, [&](Val piece) {
      Val slotsOfRow = frame.rowAddress(*slots, row),
          weightsOfRow = frame.rowAddress(*weights, row);
      SmallVector<Vals> terms;
      for (int64_t choice = 0; choice < topK; ++choice) {
        Val slot = e.load(e.i32(), e.offset(slotsOfRow, choice * kIndexBytes));
        terms.push_back(
            loadFloats(e, from, e.at(frame.rowAddress(*rows, slot), piece, pieces.width), columns));
      }
      Vals sums(columns, e.f32(0));
      for (int64_t choice = 0; choice < topK; ++choice) {
        Val weight = e.load(e.f32(), e.offset(weightsOfRow, choice * 4));
        for (int64_t column = 0; column < columns; ++column)
          sums[column] = e.fma(weight, terms[choice][column], sums[column]);
      }
      storeFloats(e, sums, to, e.at(frame.resultRow(*result, row), piece, columns * bytesOf(to)));
    });
  });
  return success();
}

} // namespace epigraph::cuda
