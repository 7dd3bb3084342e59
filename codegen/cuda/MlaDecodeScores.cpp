// The warpgroup of the scores.
//
// The running maximum moves only when a row's new one exceeds it by kSlack: until then weights grow
// up to 2^kSlack, which costs no precision, and nothing summed before needs to be rescaled.
#include "codegen/cuda/MlaDecodeBlock.h"

#include <numbers>

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// In base-2 logarithms.
constexpr double kSlack = 8;
/// Of positions that a token does not see: below any score, and far from overflow.
constexpr double kUnseen = -1e30;

/// Which of a thread's two rows register `index` of an accumulator is in.
constexpr int64_t rowOf(int64_t index) { return index / 2 % 2; }

} // namespace

Vals MlaDecodeBlock::ScoreState::pack() const {
  Vals values{maximum[0], maximum[1], sum[0], sum[1]};
  values.append(scores.registers);
  values.append(output.registers);
  return values;
}

MlaDecodeBlock::ScoreState MlaDecodeBlock::ScoreState::unpack(ArrayRef<Val> values) {
  ScoreState state;
  state.maximum = {values[0], values[1]};
  state.sum = {values[2], values[3]};
  state.scores.registers = Vals(values.slice(4, kPageTokens / 2));
  state.output.registers = Vals(values.drop_front(4 + kPageTokens / 2));
  return state;
}

/// Starts S = Q K^T of `page`.
Accumulator MlaDecodeBlock::startScores(Val page) {
  Accumulator scores = undefinedAccumulator(e, kPageTokens);
  // Held in registers over the loop, the descriptors of all chunks would spill.
  Val queries = descriptor(e.opaque(base) + kQueries);
  Val keys = descriptor(pageAddress(page));
  bool accumulate = false;
  for (Group group : {kLeft, kMiddle, kRight}) {
    wait(fullBarrier(group, stageOf(page)), parityOf(page));
    fenceProducts(e);
    for (int64_t chunk : chunksOf(group))
      for (int64_t step = 0; step < 4; ++step) {
        const int64_t offset = chunk * kChunk / 16 + step * 2;
        multiply(scores, queries + offset, keys + offset, MatrixType::BF16, accumulate);
        accumulate = true;
      }
  }
  commitProducts(e);
  return scores;
}

/// Hides what the token does not see of the last page.
void MlaDecodeBlock::maskTail(Accumulator &scores) {
  Val seen = entriesOfLastPage();
  scores.registers = e.ifValues(
      seen < kPageTokens,
      [&] {
        Vals masked;
        for (auto [index, score] : llvm::enumerate(scores.registers)) {
          const auto i = static_cast<int64_t>(index);
          Val entry = column * 2 + (i / 4 * 8 + i % 2);
          masked.push_back(e.select(entry < seen, score, e.f32(kUnseen)));
        }
        return masked;
      },
      [&] { return scores.registers; });
}

/// Makes the weights of a page of its scores, and moves the running maximum and sum.
MlaDecodeBlock::Weights MlaDecodeBlock::weigh(ScoreState &state) {
  Weights weights;
  Val scale = e.f32(problem.scale * std::numbers::log2e);
  for (int64_t r = 0; r < 2; ++r) {
    Vals scores;
    for (auto [index, score] : llvm::enumerate(state.scores.registers))
      if (rowOf(static_cast<int64_t>(index)) == r)
        scores.push_back(score);
    for (size_t count = scores.size() / 2; count > 0; count /= 2)
      for (size_t i = 0; i < count; ++i)
        scores[i] = e.maximum(scores[i], scores[i + count]);
    Val largest = e.warpMax(scores[0], 4) * scale, before = state.maximum[r];
    Val moves = largest > before + e.f32(kSlack);
    state.maximum[r] = e.select(moves, largest, before);
    weights.factors[r] = e.select(moves, e.exp2(before - largest), e.f32(1));
  }
  Vals exponentials;
  std::array<Pair, 2> sums; // of each row, of even and of odd columns
  for (auto [index, score] : llvm::enumerate(state.scores.registers)) {
    const auto i = static_cast<int64_t>(index);
    Val weight = e.exp2(e.fma(score, scale, e.negate(state.maximum[rowOf(i)])));
    exponentials.push_back(weight);
    Val &sum = sums[rowOf(i)][i % 2];
    sum = i < 4 ? weight : sum + weight;
  }
  for (int64_t r = 0; r < 2; ++r)
    state.sum[r] = e.fma(state.sum[r], weights.factors[r], sums[r][0] + sums[r][1]);
  for (size_t i = 0; i < exponentials.size(); i += 2)
    weights.packed.push_back(e.packHalves(exponentials[i], exponentials[i + 1], e.bf16()));
  return weights;
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
  wait(queriesBarrier(), e.i32(0));
  ScoreState state;
  state.scores = startScores(e.i32(0));
  waitForProducts(e, 0);
  pin(state.scores);
  state.maximum.fill(e.f32(kUnseen));
  state.sum.fill(e.f32(0));
  state.output.registers.assign(kLatent / 4, e.f32(0));
  Vals last = e.forLoop(e.i32(0), item.pages - 1, e.i32(1), state.pack(),
                        [&](Val page, ArrayRef<Val> carried) {
                          ScoreState state = ScoreState::unpack(carried);
                          Weights weights = weigh(state);
                          publish(weights);
                          rescale(state.output.registers, weights.factors);
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
  rescale(state.output.registers, weights.factors);
  fenceProducts(e);
  addValues(state.output, weights.packed, page, /*firstChunk=*/0);
  Pair scales, logSums;
  for (int64_t r = 0; r < 2; ++r) {
    Val sum = e.warpSum(state.sum[r], 4);
    scales[r] = e.reciprocal(sum);
    logSums[r] = state.maximum[r] + e.log2(sum);
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
