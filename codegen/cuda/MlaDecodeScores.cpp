// The warpgroup of the scores.
#include "codegen/cuda/MlaDecodeBlock.h"

#include "codegen/cuda/WarpProducts.h"

using namespace mlir;

namespace epigraph::cuda {

Vals MlaDecodeBlock::ScoreState::pack() const {
  Vals values{softmax.maximum[0], softmax.maximum[1], softmax.total[0], softmax.total[1]};
  values.append(scores.registers);
  values.append(output.registers);
  return values;
}

MlaDecodeBlock::ScoreState MlaDecodeBlock::ScoreState::unpack(ArrayRef<Val> values) {
  ScoreState state;
  state.softmax = {{values[0], values[1]}, {values[2], values[3]}};
  state.scores.registers = Vals(values.slice(4, kPageTokens / 2));
  state.output.registers = Vals(values.drop_front(4 + kPageTokens / 2));
  return state;
}

void MlaDecodeBlock::multiplyChunk(Accumulator &scores, Val queries, Val keys, int64_t chunk,
                                   bool accumulate) {
  for (int64_t step = 0; step < 4; ++step) {
    const int64_t offset = chunk * kChunk / 16 + step * 2;
    multiply(scores, queries + offset, keys + offset, MatrixType::BF16, accumulate || step > 0);
  }
}

/// Starts S = Q K^T of `page`.
Accumulator MlaDecodeBlock::startScores(Val page) {
  Accumulator scores = undefinedAccumulator(e, kPageTokens);
  // Held in registers over the loop, the descriptors of all chunks would spill.
  Val queries = descriptor(e.opaque(base) + kQueries);
  Val keys = descriptor(pageAddress(page));
  for (Group group : {kLeft, kMiddle, kRight}) {
    wait(fullBarrier(group, stageOf(page)), parityOf(page));
    fenceProducts(e);
    for (int64_t chunk : chunksOf(group))
      multiplyChunk(scores, queries, keys, chunk, /*accumulate=*/chunk > 0);
  }
  commitProducts(e);
  return scores;
}

/// The same of the first page, as queries come in. The rope chunk is the last, so that it can be
/// rotated meanwhile.
Accumulator MlaDecodeBlock::startFirstScores() {
  Accumulator scores = undefinedAccumulator(e, kPageTokens);
  Val queries = descriptor(base + kQueries), keys = descriptor(pageAddress(e.i32(0)));
  for (Group group : {kLeft, kMiddle, kRight}) {
    wait(queriesBarrier(group), e.i32(0));
    wait(fullBarrier(group, e.i32(0)), e.i32(0));
    fenceProducts(e);
    for (int64_t chunk : chunksOf(group))
      if (chunk != kRopeChunk)
        multiplyChunk(scores, queries, keys, chunk, /*accumulate=*/chunk > 0);
  }
  if (problem.rotation)
    e.meet(e.i32(kQueriesRotated), 2 * kWarpgroup);
  else
    wait(ropeBarrier(), e.i32(0));
  fenceProducts(e);
  multiplyChunk(scores, queries, keys, kRopeChunk, /*accumulate=*/true);
  commitProducts(e);
  return scores;
}

/// Hides what the token does not see of the last page.
void MlaDecodeBlock::maskTail(Accumulator &scores) {
  Val seen = entriesOfLastPage();
  scores.registers = e.ifValues(
      seen < kPageTokens,
      [&] {
        Vals masked = scores.registers;
        maskScores(masked, {seen - 1, seen - 1}, /*window=*/std::nullopt);
        return masked;
      },
      [&] { return scores.registers; });
}

/// Makes the weights of a page of its scores, and moves the running maximum and sum.
MlaDecodeBlock::Weights MlaDecodeBlock::weigh(ScoreState &state) {
  RowPair factors = state.softmax.weigh(state.scores.registers, problem.scale);
  return {leftOperand(state.scores.registers), factors};
}

/// Hands the weights to the other warpgroup, whose same thread holds the same fragment.
void MlaDecodeBlock::publish(const Weights &weights) {
  e.meet(e.i32(kWeightsFree), 2 * kWarpgroup);
  for (int64_t step = 0; step < 4; ++step)
    e.store(e.pack(ArrayRef(weights.packed).slice(4 * step, 4)),
            e.at(e.offset(shared, kWeights + step * kWarpgroup * 16), thread, 16));
  storeFactors(weights.factors);
  e.arriveAt(e.i32(kWeightsReady), 2 * kWarpgroup);
}

void MlaDecodeBlock::runScores() {
  ScoreState state;
  state.scores = startFirstScores();
  waitForProducts(e, 0);
  pin(state.scores);
  state.softmax = RunningSoftmax::initial(e);
  state.output.registers.assign(kLatent / 4, e.f32(0));
  Vals last = e.forLoop(e.i32(0), item.pages - 1, e.i32(1), state.pack(),
                        [&](Val page, ArrayRef<Val> carried) {
                          ScoreState state = ScoreState::unpack(carried);
                          Weights weights = weigh(state);
                          publish(weights);
                          scaleRowsIfNeeded(state.output.registers, weights.factors);
                          fenceProducts(e);
                          addValues(state.output, weights.packed, page, /*firstChunk=*/0);
                          state.scores = startScores(page + 1);
                          waitForProducts(e, 1);
                          pin(state.output);
                          release(kLeft, page);
                          waitForProducts(e, 0);
                          pin(state.scores);
                          e.arriveAt(stageOf(page) + kScoresDone, 2 * kWarpgroup);
                          return state.pack();
                        });
  finishScores(ScoreState::unpack(last));
}

/// The last page, and the result.
void MlaDecodeBlock::finishScores(ScoreState state) {
  Val page = item.pages - 1;
  maskTail(state.scores);
  Weights weights = weigh(state);
  publish(weights);
  e.arriveAt(stageOf(page) + kScoresDone, 2 * kWarpgroup);
  zeroTail(/*firstChunk=*/0, kLeftZeroed);
  scaleRowsIfNeeded(state.output.registers, weights.factors);
  fenceProducts(e);
  addValues(state.output, weights.packed, page, /*firstChunk=*/0);
  RowPair totals = state.softmax.finalTotals(/*sink=*/Val()), scales, logSums;
  for (size_t r = 0; r < 2; ++r) {
    scales[r] = e.reciprocal(totals[r]);
    logSums[r] = state.softmax.maximum[r] + e.log2(totals[r]);
  }
  e.meet(e.i32(kWeightsFree), 2 * kWarpgroup);
  storeFactors(scales);
  e.arriveAt(e.i32(kWeightsReady), 2 * kWarpgroup);
  storeLogSums(logSums);
  waitForProducts(e, 0);
  pin(state.output);
  storeOutput(state.output.registers, scales, /*firstColumn=*/0);
}

} // namespace epigraph::cuda
