// The warpgroup of the values: columns 256-511 of O, in two accumulators, so that chunks of a page
// are freed one half after the other.
#include "codegen/cuda/MlaDecodeBlock.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kHalfRegisters = 64;
constexpr int64_t kMiddleChunk = 4, kRightChunk = 6;

} // namespace

/// Adds P V of `page` to both accumulators.
void MlaDecodeBlock::addRightColumns(Val page, Accumulator &middle, Accumulator &right,
                                     bool isLast) {
  e.meet(e.i32(kWeightsReady), 2 * kWarpgroup);
  Vals weights;
  for (int64_t step = 0; step < 4; ++step) {
    Val address = e.at(e.offset(shared, kWeights + step * kWarpgroup * 16), thread, 16);
    weights.append(e.elements(e.load(e.vector(e.i32(), 4), address)));
  }
  RowPair factors = loadFactors();
  e.arriveAt(e.i32(kWeightsFree), 2 * kWarpgroup);
  Vals both = middle.registers;
  both.append(right.registers);
  scaleRowsIfNeeded(both, factors);
  middle.registers = Vals(ArrayRef(both).take_front(kHalfRegisters));
  right.registers = Vals(ArrayRef(both).drop_front(kHalfRegisters));

  wait(fullBarrier(kMiddle, stageOf(page)), parityOf(page));
  wait(fullBarrier(kRight, stageOf(page)), parityOf(page));
  if (isLast)
    zeroTail(kMiddleChunk, kRightZeroed);
  e.meet(stageOf(page) + kScoresDone, 2 * kWarpgroup);
  fenceProducts(e);
  addValues(middle, weights, page, kMiddleChunk);
  addValues(right, weights, page, kRightChunk);
  if (!isLast) {
    waitForProducts(e, 1);
    pin(middle);
    release(kMiddle, page);
  }
  waitForProducts(e, 0);
  if (isLast)
    pin(middle);
  pin(right);
  if (!isLast)
    release(kRight, page);
}

/// Turns the rope chunk of the queries where it lies, while the latent chunks are multiplied. Lines
/// are swizzled by 128 bytes.
void MlaDecodeBlock::rotateQueries() {
  const QueryRotation &rotation = *problem.rotation;
  const int64_t shares = rotation.shares();
  Val share = thread % shares;
  const QueryRotation::Angles angles = rotation.load(frame, item.position, share);
  wait(ropeBarrier(), e.i32(0));
  for (int64_t first = 0; first < kHeads; first += kWarpgroup / shares) {
    Val head = thread / shares + first;
    Val line = e.at(e.offset(shared, kQueries + kRopeChunk * kChunk), head, kChunkColumns * 2);
    rotation.turn(angles, share, [&](Val number) { return e.at(line, number ^ (head & 7), 16); });
  }
  fenceAsyncShared(e);
  e.arriveAt(e.i32(kQueriesRotated), 2 * kWarpgroup);
}

void MlaDecodeBlock::runValues() {
  if (problem.rotation)
    rotateQueries();
  auto step = [&](Val page, ArrayRef<Val> carried, bool isLast) {
    Accumulator middle{Vals(carried.take_front(kHalfRegisters))};
    Accumulator right{Vals(carried.drop_front(kHalfRegisters))};
    addRightColumns(page, middle, right, isLast);
    Vals sums = middle.registers;
    sums.append(right.registers);
    return sums;
  };
  e.arriveAt(e.i32(kWeightsFree), 2 * kWarpgroup);
  Vals sums(2 * kHalfRegisters, e.f32(0));
  sums = e.forLoop(e.i32(0), item.pages - 1, e.i32(1), sums,
                   [&](Val page, ArrayRef<Val> carried) { return step(page, carried, false); });
  sums = step(item.pages - 1, sums, true);
  e.meet(e.i32(kWeightsReady), 2 * kWarpgroup);
  storeOutput(sums, loadFactors(), kMiddleChunk * kChunkColumns);
}

} // namespace epigraph::cuda
