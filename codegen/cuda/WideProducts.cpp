#include "codegen/cuda/WideProducts.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Bytes along K of one wgmma, in units of 16 as descriptors count them.
constexpr int64_t kStepUnits = 2;
constexpr int64_t kStepsOfBlock = 4;

} // namespace

WideProducts::WideProducts(const WideKernel &kernel, Val warpgroup)
    : kernel(kernel), layout(kernel.layout), e(kernel.e()), warpgroup(warpgroup),
      ring(e.sharedAddress(kernel.shared)), lane(e.lane()),
      rowInTile(warpgroup * 64 + (e.warp() & 3) * 16 + (lane >> 2)) {}

WideProducts::Sums WideProducts::multiplyTile(const WorkTile &tile, RingPlace place) {
  return layout.isFp8 ? multiplyScaled(tile, place) : multiplyPlain(tile, place);
}

/// One block of K into `acc`.
void WideProducts::issue(Val stage, int64_t fragment, Accumulator &acc, bool accumulate) {
  Val tokens = ring + stage * layout.stageBytes;
  Val weights = tokens + (layout.tokenBytes + fragment * layout.fragmentStep * 128);
  Val sharedOperand = layout.tile.swapped ? tokens : weights;
  Val ownOperand = (layout.tile.swapped ? weights : tokens) + warpgroup * (64 * 128);
  Val a = descriptor(ownOperand), b = descriptor(sharedOperand);
  const MatrixType type = layout.isFp8 ? MatrixType::E4M3 : MatrixType::BF16;
  for (int64_t step = 0; step < kStepsOfBlock; ++step)
    multiply(acc, a + step * kStepUnits, b + step * kStepUnits, type, accumulate || step > 0);
}

/// Lets the stage be fetched again, by all blocks that fetch into it.
void WideProducts::release(Val stage) {
  if (layout.tile.multicast == 1)
    return e.ifThen(lane == 0, [&] { arrive(kernel.empty(stage)); });
  e.ifThen(lane < layout.tile.multicast, [&] { arriveAtCluster(kernel.empty(stage), lane); });
}

/// The first block overwrites the accumulators; one block is always under way while the next is
/// issued.
WideProducts::Sums WideProducts::multiplyPlain(const WorkTile &tile, RingPlace place) {
  Sums sums;
  for (int64_t f = 0; f < layout.fragments; ++f)
    sums.fragments.push_back(undefinedAccumulator(e, layout.fragmentWidth));
  auto multiplyBlock = [&](RingPlace at, bool accumulate) {
    wait(kernel.full(at.stage), at.parity);
    fenceProducts(e);
    for (int64_t f = 0; f < layout.fragments; ++f)
      issue(at.stage, f, sums.fragments[f], accumulate);
    commitProducts(e);
  };
  multiplyBlock(place, /*accumulate=*/false);
  RingPlace second = nextPlace(place, layout.stages);
  Vals carried{second.stage, second.parity, place.stage};
  for (const Accumulator &acc : sums.fragments)
    carried.append(acc.registers);
  auto unpack = [&](ArrayRef<Val> values) {
    for (Accumulator &acc : sums.fragments)
      for (Val &reg : acc.registers) {
        reg = values.front();
        values = values.drop_front();
      }
  };
  Vals last =
      e.forLoop(tile.depthBegin + 1, tile.depthEnd, e.i32(1), carried, [&](Val, ArrayRef<Val> at) {
        unpack(at.drop_front(3));
        multiplyBlock({at[0], at[1]}, /*accumulate=*/true);
        waitForProducts(e, 1);
        release(at[2]);
        RingPlace next = nextPlace({at[0], at[1]}, layout.stages);
        Vals values{next.stage, next.parity, at[0]};
        for (const Accumulator &acc : sums.fragments)
          values.append(acc.registers);
        return values;
      });
  unpack(ArrayRef<Val>(last).drop_front(3));
  waitForProducts(e, 0);
  for (Accumulator &acc : sums.fragments)
    pin(acc);
  release(last[2]);
  sums.next = {last[0], last[1]};
  return sums;
}

/// The scale of each fragment's weights in one block of K; `rows`: addresses of their rows.
Vals WideProducts::weightScales(ArrayRef<Val> rows, Val block) {
  return llvm::map_to_vector(
      rows, [&](Val row) { return e.load(e.f32(), e.at(row, block, 4), LoadHint::ReadOnly); });
}

/// The scales that a thread's sums of a fragment need: of two rows, or, swapped, of a quarter of
/// the tile's.
Vals WideProducts::tokenScales(Val stage, Val shift) {
  Val scales = e.offset(e.at(e.offset(kernel.shared, layout.scalesAt), stage, layout.scaleStride),
                        shift * 4);
  Vals values;
  if (!layout.tile.swapped) {
    Val first = e.at(scales, rowInTile, 4);
    return {e.load(e.f32(), first), e.load(e.f32(), e.offset(first, 8 * 4))};
  }
  Val first = e.at(scales, (lane & 3) * 2, 4);
  for (int64_t row = 0; row < layout.tile.rows; row += 8)
    for (int64_t i = 0; i < 2; ++i)
      values.push_back(e.load(e.f32(), e.offset(first, (row + i) * 4)));
  return values;
}

/// The one of tokenScales for register `reg` of a fragment.
Val WideProducts::tokenScale(ArrayRef<Val> scales, int64_t reg) const {
  return layout.tile.swapped ? scales[reg / 4 * 2 + reg % 2] : scales[reg / 2 % 2];
}

WideProducts::Sums WideProducts::multiplyScaled(const WorkTile &tile, RingPlace place) {
  const int64_t scaleBlocks = kernel.problem.scaleBlocks();
  const int64_t fragments = layout.fragments, registers = layout.fragmentWidth / 2;
  const int64_t columns = kernel.epilogue.columns();
  Val shift = tile.row & (kScaleRowAlignment - 1);
  Val matrixRow = tile.matrix * kernel.problem.scaleRows();
  Val scales = kernel.frame.rowAddress(*kernel.problem.wScale, e.i32(0));
  Vals scaleRows;
  for (int64_t f = 0; f < fragments; ++f) {
    const int64_t weightRow = f * layout.fragmentStep;
    const int64_t part = weightRow / layout.tile.columns, inPart = weightRow % layout.tile.columns;
    // Past the last column there may be no such scale, and no result that needs it.
    Val row = e.minimum((tile.column + (part * columns + inPart)) / epi::kScaleBlock,
                        e.i32(kernel.problem.scaleRows() - 1));
    scaleRows.push_back(e.at(scales, matrixRow + row, scaleBlocks * 4));
  }

  Vals carried{place.stage, place.parity};
  carried.append(weightScales(scaleRows, tile.depthBegin));
  carried.append(fragments * registers, e.f32(0.0));
  Vals last = e.forLoop(
      tile.depthBegin, tile.depthEnd, e.i32(1), carried, [&](Val block, ArrayRef<Val> at) {
        RingPlace here{at[0], at[1]};
        ArrayRef<Val> ofWeights = at.slice(2, fragments), totals = at.drop_front(2 + fragments);
        Vals nextScales = weightScales(scaleRows, e.minimum(block + 1, e.i32(scaleBlocks - 1)));
        wait(kernel.full(here.stage), here.parity);
        Vals ofTokens = tokenScales(here.stage, shift);
        RingPlace next = nextPlace(here, layout.stages);
        Vals values{next.stage, next.parity};
        values.append(nextScales);
        // One accumulator by name for all fragments: its reuse keeps two of them from being live at
        // the same time, which would not fit the registers.
        Accumulator acc = undefinedAccumulator(e, layout.fragmentWidth);
        for (int64_t f = 0; f < fragments; ++f) {
          fenceProducts(e);
          issue(here.stage, f, acc, /*accumulate=*/false);
          commitProducts(e);
          waitForProducts(e, 0);
          pin(acc);
          if (f + 1 == fragments)
            release(here.stage);
          Accumulator total;
          for (int64_t reg = 0; reg < registers; ++reg)
            total.registers.push_back(e.fma(acc.registers[reg],
                                            tokenScale(ofTokens, reg) * ofWeights[f],
                                            totals[f * registers + reg]));
          if (fragments > 1)
            pin(total); // LLVM would sink the sums below the next products, and keep two fragments.
          values.append(total.registers);
        }
        return values;
      });
  Sums sums;
  ArrayRef<Val> totals = ArrayRef<Val>(last).drop_front(2 + fragments);
  for (int64_t f = 0; f < fragments; ++f)
    sums.fragments.push_back({Vals(totals.slice(f * registers, registers))});
  sums.next = {last[0], last[1]};
  return sums;
}

} // namespace epigraph::cuda
