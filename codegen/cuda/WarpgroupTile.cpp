// A warpgroup starts the product of its queries with the keys of a step, and then that of the
// weights of the step before with its values. It turns the first into weights while the second is
// computed. The warpgroups take turns to start products, so that each has its softmax while the
// other's products are computed: the tensor cores are never without work.
#include "codegen/cuda/WarpgroupTile.h"

#include "codegen/cuda/FragmentRows.h"
#include "codegen/cuda/WarpProducts.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

using Rings = TileRings;

/// Descriptors count in units of 16 bytes.
constexpr int64_t kUnit = 16;
constexpr int64_t kBothThreads = Rings::kMultipliers * Rings::kWarpgroup;

} // namespace

TilePages TilePages::of(Emitter &e, const ItemValues &item, std::optional<int64_t> window) {
  Val first = item.firstPage, end = item.firstPage + item.pages;
  if (window) {
    // The window of the first token begins first.
    Val start = e.maximum(item.position - (*window - 1), e.i32(0));
    first = e.maximum(first, start / kPageTokens);
  }
  return {first, end, e.ceilDiv(end - first, Rings::kStepPages)};
}

Vals WarpgroupTile::State::pack() const {
  Vals all{softmax.maximum[0], softmax.maximum[1], softmax.total[0], softmax.total[1]};
  all.append(weights.begin(), weights.end());
  all.append(sums.begin(), sums.end());
  return all;
}

WarpgroupTile::State WarpgroupTile::State::unpack(ArrayRef<Val> values) const {
  ArrayRef<Val> rest = values.drop_front(4);
  const size_t count = weights.size();
  return {{{values[0], values[1]}, {values[2], values[3]}},
          Vals(rest.take_front(count)),
          Vals(rest.drop_front(count))};
}

void WarpgroupTile::beginTurns() {
  e.ifThen(warpgroup == 1, [&] { e.arriveAt(e.i32(kTurn), kBothThreads); });
}

/// Starts the product of the queries with the keys of a step.
Accumulator WarpgroupTile::score(Val use) {
  Accumulator scores = undefinedAccumulator(e, Rings::kStep);
  // Descriptors of queries are the same for all steps: made where they are used, they hold no
  // registers.
  Val queries = e.opaque(e.sharedAddress(rings.queries(e.i32(0)).address));
  Val left = descriptor(queries + warpgroup * Rings::kPageChunk);
  Val right = descriptor(e.sharedAddress(rings.keys(use).address));
  fenceProducts(e);
  for (int64_t column = 0; column < shape.key; column += 16) {
    const int64_t chunk = column / Rings::kChunkColumns, byte = column % Rings::kChunkColumns * 2;
    const int64_t offset = (chunk * Rings::kStepChunk + byte) / kUnit;
    multiply(scores, left + offset, right + offset, MatrixType::BF16, column != 0);
  }
  commitProducts(e);
  return scores;
}

void WarpgroupTile::addValues(Accumulator &sums, ArrayRef<Val> weights,
                              const TileRings::Place &values) {
  Val right = descriptorTransposed(e.sharedAddress(values.address), Rings::kStepChunk);
  fenceProducts(e);
  for (int64_t token = 0; token < Rings::kStep; token += 16)
    multiplyRegisters(sums, weights.slice(static_cast<size_t>(token / 4), 4),
                      right + token * Rings::kLine / kUnit, /*accumulate=*/true,
                      /*transposedB=*/true);
  commitProducts(e);
}

void WarpgroupTile::mask(Accumulator &scores, const ItemValues &item, const TilePages &pages,
                         Val step) {
  Val last = item.position + row - (pages.first + step * Rings::kStepPages) * kPageTokens;
  maskScores(scores.registers, {last, last + 8}, shape.window);
}

/// Weighs step `step`, and adds the weighted values of the one before.
WarpgroupTile::State WarpgroupTile::addStep(const ItemValues &item, const TilePages &pages,
                                            const TileUses &uses, Val step, bool isMasked,
                                            State state) {
  const Rings::Place keys = rings.keys(uses.keys + step);
  const Rings::Place values = rings.values(uses.values + step - 1);
  keys.waitUntilFull();
  e.meet(warpgroup + kTurn, kBothThreads);
  Accumulator scores = score(uses.keys + step);
  values.waitUntilFull();
  Accumulator sums{state.sums};
  addValues(sums, state.weights, values);
  e.arriveAt((warpgroup ^ 1) + kTurn, kBothThreads);
  waitForProducts(e, 1);
  pin(scores);
  keys.release();
  if (isMasked)
    mask(scores, item, pages, step);
  RowPair rescale = state.softmax.weigh(scores.registers, shape.scale);
  Vals weights = leftOperand(scores.registers);
  waitForProducts(e, 0);
  pin(sums);
  values.release();
  scaleRowsIfNeeded(sums.registers, rescale);
  return {state.softmax, weights, sums.registers};
}

WarpgroupTile::State WarpgroupTile::addSteps(const ItemValues &item, const TilePages &pages,
                                             const TileUses &uses, Val first, Val last,
                                             bool isMasked, const State &state) {
  return state.unpack(
      e.forLoop(first, last, e.i32(1), state.pack(), [&](Val step, ArrayRef<Val> values) -> Vals {
        return addStep(item, pages, uses, step, isMasked, state.unpack(values)).pack();
      }));
}

void WarpgroupTile::attend(const ItemValues &item, const TilePages &pages, const TileUses &uses,
                           Val sink) {
  State state{
      RunningSoftmax::initial(e), {}, Vals(static_cast<size_t>(shape.value / 2), e.f32(0.0))};
  const Rings::Place keys = rings.keys(uses.keys);
  keys.waitUntilFull();
  Accumulator scores = score(uses.keys);
  waitForProducts(e, 0);
  pin(scores);
  keys.release();
  mask(scores, item, pages, e.i32(0));
  state.softmax.weigh(scores.registers, shape.scale);
  state.weights = leftOperand(scores.registers);

  Val firstMasked = e.i32(1);
  if (!shape.window) {
    // Steps before the warpgroup's first token are seen as a whole.
    Val before = item.position + 1 + warpgroup * kPageTokens - pages.first * kPageTokens;
    firstMasked = e.maximum(e.minimum(before / Rings::kStep, pages.steps), firstMasked);
    state = addSteps(item, pages, uses, e.i32(1), firstMasked, /*isMasked=*/false, state);
  }
  state = addSteps(item, pages, uses, firstMasked, pages.steps, /*isMasked=*/true, state);
  rings.queries(uses.queries).release();
  addLastValues(item, pages, uses, state);
  totals = state.softmax.finalTotals(sink);
  sums = state.sums;
}

void WarpgroupTile::addLastValues(const ItemValues &item, const TilePages &pages,
                                  const TileUses &uses, State &state) {
  const Rings::Place values = rings.values(uses.values + pages.steps - 1);
  values.waitUntilFull();
  Val firstOfStep = (pages.first + (pages.steps - 1) * Rings::kStepPages) * kPageTokens;
  zeroPast(item.position + item.tokens - firstOfStep, values);
  Accumulator last{state.sums};
  addValues(last, state.weights, values);
  waitForProducts(e, 0);
  pin(last);
  values.release();
  state.sums = last.registers;
}

/// Zeroes the values of the last step past its first `tokens`: a weight of zero times what stale
/// memory holds need not be zero.
void WarpgroupTile::zeroPast(Val tokens, const TileRings::Place &values) {
  e.ifThen(tokens < Rings::kStep, [&] {
    // Two threads a token.
    Val token = e.threadId() / 2;
    e.ifThen(token >= tokens, [&] {
      Val zero = e.constant(e.vector(e.i32(), 4), 0);
      Val start = e.at(values.address, e.threadId(), Rings::kLine / 2);
      for (int64_t chunk = 0; chunk < shape.value / Rings::kChunkColumns; ++chunk)
        for (int64_t byte = 0; byte < Rings::kLine / 2; byte += 16)
          e.store(zero, e.offset(start, chunk * Rings::kStepChunk + byte));
    });
    fenceAsyncShared(e);
    e.meet(e.i32(kBoth), kBothThreads);
  });
}

void WarpgroupTile::store(const ItemValues &item, llvm::function_ref<Val(Val row)> addressOf) {
  RowPair inverse{e.reciprocal(totals[0]), e.reciprocal(totals[1])};
  scaleRows(sums, inverse);
  std::array<Val, 2> rows{row, row + 8}, addresses{addressOf(rows[0]), addressOf(rows[1])};
  forRowPieces(sums, [&](size_t half, Val piece, Val words) {
    e.ifThen(rows[half] < item.tokens, [&] { e.store(words, e.at(addresses[half], piece, 16)); });
  });
}

} // namespace epigraph::cuda
