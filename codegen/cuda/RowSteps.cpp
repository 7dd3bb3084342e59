// Operations of a row kernel that depend on the step: rotation by the token's position, and the
// append to a cache.
//
// A chunk of a rotated head needs the other elements of its pairs. Neighbours are in the same
// chunk; of halves, what is rotated is evaluated in the chunk of the other half, too. What that
// loads another lane of the warp loads as well, and both loads are under way at once.
#include "codegen/cuda/LinearEpilogue.h"
#include "codegen/cuda/PagedCache.h"
#include "codegen/cuda/RowEvaluator.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// The chunk of the elements `half` from those of `chunk`.
Chunk &partnerOf(Emitter &e, Chunk &chunk, int64_t half) {
  if (!chunk.partner) {
    chunk.partner = std::make_unique<Chunk>();
    Chunk &partner = *chunk.partner;
    partner.width = chunk.width;
    partner.lanes = chunk.lanes;
    partner.length = chunk.length;
    partner.repetition = chunk.repetition;
    partner.left = chunk.left;
    partner.isFirst = chunk.isFirst;
    partner.origin = &chunk;
    partner.column = e.select(chunk.column < half, chunk.column + half, chunk.column - half);
  }
  return *chunk.partner;
}

} // namespace

Vals RowEvaluator::rotate(epi::RopeOp rope, Position at, Chunk &chunk) {
  const int64_t columns = periodOf(*rope);
  const bool isWholeHead = at.start % columns == 0 && at.step % columns == 0 &&
                           chunk.length == columns && columns / 2 % chunk.width == 0;
  if (!isWholeHead) {
    crossed = rope;
    return Vals(chunk.width, e.f32(0));
  }
  return rope.getInterleaved() ? rotateNeighbours(rope, at, chunk) : rotateHalves(rope, at, chunk);
}

/// Pairs (2i, 2i + 1).
Vals RowEvaluator::rotateNeighbours(epi::RopeOp rope, Position at, Chunk &chunk) {
  Vals values = evaluate(rope.getX(), at, chunk);
  auto [cosines, sines] = angles(rope, chunk.column / 2, chunk.width / 2);
  Vals turned;
  for (int64_t i = 0; i < chunk.width; i += 2) {
    Val first = values[i], second = values[i + 1], cosine = cosines[i / 2], sine = sines[i / 2];
    turned.push_back(e.fma(first, cosine, e.negate(second * sine)));
    turned.push_back(e.fma(second, cosine, first * sine));
  }
  return turned;
}

/// Pairs (i, i + columns / 2).
Vals RowEvaluator::rotateHalves(epi::RopeOp rope, Position at, Chunk &chunk) {
  const int64_t half = periodOf(*rope) / 2;
  Vals values = evaluate(rope.getX(), at, chunk);
  Vals others = evaluate(rope.getX(), at, partnerOf(e, chunk, half));
  Val isFirst = chunk.column < half;
  auto [cosines, sines] = angles(rope, chunk.column % half, chunk.width);
  Vals turned;
  for (int64_t i = 0; i < chunk.width; ++i) {
    Val sine = e.select(isFirst, e.negate(sines[i]), sines[i]);
    turned.push_back(e.fma(values[i], cosines[i], others[i] * sine));
  }
  return turned;
}

/// `count` cosines and sines of the token's position, from pair `first` on.
std::pair<Vals, Vals> RowEvaluator::angles(epi::RopeOp rope, Val first, int64_t count) {
  const int64_t dims = periodOf(*rope), alignment = count * static_cast<int64_t>(sizeof(float));
  Val table = frame.rowAddress(*layout.viewOf(rope.getTable()), e.i32(0));
  Val line = e.at(table, token.position, dims * sizeof(float));
  Val cosines = e.at(line, first, sizeof(float));
  Val sines = e.offset(cosines, dims / 2 * sizeof(float));
  return {loadFloats(e, e.f32(), cosines, count, std::min<int64_t>(alignment, 16)),
          loadFloats(e, e.f32(), sines, count, std::min<int64_t>(alignment, 16))};
}

void RowEvaluator::storeEntry(epi::KvAppendOp append, Value part, int64_t offset) {
  auto cache = cast<BlockArgument>(append.getCache());
  Type element = cast<RankedTensorType>(part.getType()).getElementType();
  const int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  const int64_t entry = entryElements(cache.getType());
  Val address = e.offset(e.at(frame.address(cache), token.slot, entry * bytes), offset * bytes);
  overValue(part, {}, [&](const Run &run, Chunk &chunk, ArrayRef<Val>) -> Vals {
    // The start and the distance of entries bound the alignment as the length of a row does.
    storeFloatsAt(element, evaluateExactly(part, run.at, chunk), address, run.at, entry | offset,
                  chunk);
    return {};
  });
}

} // namespace epigraph::cuda
