// Every element of a row is traced to its inputs, one by one; neighbours that differ only by one
// element in all inputs join a piece, and pieces that repeat at equal distances (the heads of a
// [rows, heads, dims] value) become one run with a count. Brute force, but a row has some ten
// thousand elements at most, and no case is special.
#include "codegen/target/RowLayout.h"
#include "codegen/target/Elementwise.h"

using namespace mlir;

namespace epigraph {
namespace {

/// Pieces that may repeat together; a concat of more parts along an inner dimension is emitted
/// piece by piece.
constexpr size_t kMaxPeriod = 8;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Elements of one index of dimension `dim`.
int64_t innerElements(RankedTensorType type, int64_t dim) {
  int64_t product = 1;
  for (int64_t size : type.getShape().drop_front(dim + 1))
    product *= size;
  return product;
}

} // namespace

int64_t RowLayout::elementsOf(Value value) {
  int64_t product = 1;
  for (int64_t size : staticShape(typeOf(value)))
    product *= size;
  return product;
}

const std::optional<TensorView> &RowLayout::viewOf(Value value) {
  auto [entry, isNew] = views.try_emplace(value);
  if (isNew)
    entry->second = resolveView(value);
  return entry->second;
}

int64_t RowLayout::offsetIn(const TensorView &view, int64_t position) {
  int64_t offset = 0;
  for (size_t i = view.shape.size(); i-- > 0;) {
    offset += position % view.shape[i] * view.strides[i];
    position /= view.shape[i];
  }
  return offset;
}

int64_t RowLayout::throughSplit(epi::SplitOp split, unsigned part, int64_t position) {
  const int64_t inner = innerElements(typeOf(split.getX()), split.getDim());
  const int64_t have = typeOf(split->getResult(part)).getDimSize(split.getDim()) * inner;
  const int64_t all = typeOf(split.getX()).getDimSize(split.getDim()) * inner;
  return position / have * all + split.getOffset(part) * inner + position % have;
}

std::pair<unsigned, int64_t> RowLayout::throughConcat(epi::ConcatOp concat, int64_t position) {
  auto type = typeOf(concat.getResult());
  const int64_t inner = innerElements(type, concat.getDim());
  const int64_t all = type.getDimSize(concat.getDim()) * inner;
  int64_t left = position % all;
  for (auto [index, operand] : llvm::enumerate(concat.getInputs())) {
    const int64_t have = typeOf(operand).getDimSize(concat.getDim()) * inner;
    if (left < have)
      return {index, position / all * have + left};
    left -= have;
  }
  llvm_unreachable("the operands of a concat add up to its result");
}

int64_t RowLayout::throughVector(Value vector, int64_t position) {
  return position % typeOf(vector).getDimSize(0);
}

bool RowLayout::Trace::continuesAs(const Trace &next, int64_t distance) const {
  if (choices != next.choices || offsets.size() != next.offsets.size())
    return false;
  for (auto [here, there] : llvm::zip_equal(offsets, next.offsets))
    if (there - here != distance)
      return false;
  return true;
}

void RowLayout::trace(Value value, int64_t position, Trace &result) {
  if (const std::optional<TensorView> &view = viewOf(value)) {
    result.offsets.push_back(offsetIn(*view, position));
    return;
  }
  if (llvm::is_contained(result.seen, std::make_pair(value, position)))
    return;
  result.seen.push_back({value, position});
  Operation *op = value.getDefiningOp();
  if (auto split = dyn_cast<epi::SplitOp>(op))
    return trace(split.getX(),
                 throughSplit(split, cast<OpResult>(value).getResultNumber(), position), result);
  if (auto concat = dyn_cast<epi::ConcatOp>(op)) {
    auto [operand, inside] = throughConcat(concat, position);
    result.choices.push_back(operand);
    return trace(concat.getInputs()[operand], inside, result);
  }
  // Where one element of a pair is, the other is, too: whole heads are rotated.
  if (auto rope = dyn_cast<epi::RopeOp>(op))
    return trace(rope.getX(), position, result);
  // Whole rows are moved, or added up.
  if (isa<epi::PermuteOp, epi::UnpermuteOp>(op))
    return trace(op->getOperand(0), position, result);
  // Elementwise, reshape, rms_norm or softmax: the operands' elements at the same position, but for
  // those that meet many. One value for the whole row has no position.
  for (OpOperand &operand : op->getOpOperands()) {
    const epi::Broadcast broadcast = broadcastOf(operand);
    if (broadcast == epi::Broadcast::None)
      trace(operand.get(), position, result);
    else if (broadcast == epi::Broadcast::Columns)
      trace(operand.get(), throughVector(operand.get(), position), result);
  }
}

SmallVector<RowLayout::Piece> RowLayout::piecesOf(Value value, int64_t period) {
  SmallVector<Piece> pieces;
  Trace last;
  for (int64_t position = 0, end = elementsOf(value); position < end; ++position) {
    Trace here;
    trace(value, position, here);
    const bool mayContinue = !pieces.empty() && !(period && position % period == 0);
    if (mayContinue && last.continuesAs(here, 1))
      ++pieces.back().length;
    else
      pieces.push_back({position, 1, here});
    last = std::move(here);
  }
  return pieces;
}

bool RowLayout::repeatsEvery(ArrayRef<Piece> pieces, size_t period) {
  if (pieces.size() % period || pieces.size() < 2 * period)
    return false;
  for (size_t i = period; i < pieces.size(); ++i) {
    const Piece &first = pieces[i % period], &second = pieces[period + i % period];
    const Piece &piece = pieces[i];
    const int64_t repetition = i / period;
    if (piece.length != first.length || piece.trace.choices != first.trace.choices ||
        piece.trace.offsets.size() != first.trace.offsets.size() ||
        second.trace.offsets.size() != first.trace.offsets.size() ||
        piece.start != first.start + repetition * (second.start - first.start))
      return false;
    for (size_t k = 0; k < first.trace.offsets.size(); ++k) {
      const int64_t start = first.trace.offsets[k], step = second.trace.offsets[k] - start;
      if (piece.trace.offsets[k] != start + repetition * step)
        return false;
    }
  }
  return true;
}

SmallVector<Run> RowLayout::runsOf(Value value, int64_t period) {
  const SmallVector<Piece> pieces = piecesOf(value, period);
  size_t repeated = 1;
  while (repeated <= kMaxPeriod && !repeatsEvery(pieces, repeated))
    ++repeated;
  const bool repeats = repeated <= kMaxPeriod;
  if (!repeats)
    repeated = pieces.size();
  SmallVector<Run> runs;
  for (const Piece &piece : ArrayRef(pieces).take_front(repeated)) {
    const int64_t step = repeats ? pieces[repeated].start : 0;
    runs.push_back(
        {{piece.start, step}, piece.length, static_cast<int64_t>(pieces.size() / repeated)});
  }
  return runs;
}

} // namespace epigraph
