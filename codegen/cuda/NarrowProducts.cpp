#include "codegen/cuda/NarrowProducts.h"

using namespace mlir;

namespace epigraph::cuda {

NarrowProducts::NarrowProducts(const NarrowKernel &kernel, const NarrowUnits &units)
    : kernel(kernel), units(units), layout(kernel.layout), e(kernel.e()), warp(e.warp()),
      group(e.lane() >> 2), quad(e.lane() & 3),
      laneDepth(warp * (layout.tile.loads * kLoadBytes) + quad * kLaneBytes) {}

int64_t NarrowProducts::depthOf(int64_t step, int64_t load) const {
  return step * layout.stageDepth + load * kLoadBytes;
}

Val NarrowProducts::exists(int64_t step, int64_t load) const {
  if (!layout.isPartial || step + 1 < layout.steps)
    return {};
  return laneDepth + depthOf(step, load) < layout.depthBytes;
}

int64_t NarrowProducts::xWords() const {
  return layout.steps * layout.tile.loads * layout.tokenFragments * 4;
}

/// Of rows: those of a lane's two of each fragment, or of the only one.
int64_t NarrowProducts::scalesOfBlock() const {
  return layout.tile.rows == 1 ? 1 : 2 * layout.tokenFragments;
}

Vals NarrowProducts::flat(const State &state) const {
  Vals all{state.place.stage, state.place.parity, state.row};
  all.append(state.rows.x);
  all.append(state.rows.scales);
  all.append(state.weightScales);
  return all;
}

NarrowProducts::State NarrowProducts::stateOf(ArrayRef<Val> flat) const {
  const auto words = static_cast<size_t>(xWords());
  const auto scales = static_cast<size_t>(layout.steps * layout.scales * scalesOfBlock());
  ArrayRef<Val> rest = flat.drop_front(3);
  return {{flat[0], flat[1]},
          flat[2],
          {Vals(rest.take_front(words)), Vals(rest.slice(words, scales))},
          Vals(rest.drop_front(words + scales))};
}

/// Scales of weights are there before x: the first are loaded first.
void NarrowProducts::multiplyUnits() const {
  State first{{e.i32(0), e.i32(0)}, e.i32(-1), {}, firstWeightScales()};
  if (kernel.fetchesEarly())
    e.waitForPrevious();
  if (kernel.isGrouped() && kernel.fetchesEarly())
    e.allowNext(); // Only now: followsProjectionOfGroups.
  Val rowEnd = kernel.isGrouped() ? Val() : kernel.frame.rows(), end = units.all();
  if (layout.hasOneRowTile) {
    first.rows = loadRows({Val(), e.i32(0), rowEnd, Val()});
  } else {
    first.rows.x.assign(static_cast<size_t>(xWords()), e.i32(0));
    first.rows.scales.assign(static_cast<size_t>(layout.steps * layout.scales * scalesOfBlock()),
                             e.f32(0));
  }
  units.forEach(e.i32(0), end, rowEnd, flat(first),
                [&](Val index, const BlockTile &unit, ArrayRef<Val> carried) {
                  State state = stateOf(carried);
                  state.rows = rowsOf(unit, state);
                  state.row = unit.row;
                  Vals ahead = weightScales(e.minimum(index + 1, end - 1));
                  Vals sums = multiplyUnit(state);
                  e.ifThen(index >= kSumBuffers,
                           [&] { e.meet(kernel.haveStored(index), kernel.meeting()); });
                  keep(sums, kernel.sumsOf(index));
                  e.arriveAt(kernel.haveSums(index), kernel.meeting());
                  state.weightScales = ahead;
                  return flat(state);
                });
}

/// The rows in registers, or others where the unit has others.
NarrowProducts::Rows NarrowProducts::rowsOf(const BlockTile &unit, const State &state) const {
  if (layout.hasOneRowTile)
    return state.rows;
  auto together = [](const Rows &rows) {
    Vals all(rows.x);
    all.append(rows.scales);
    return all;
  };
  Vals now = e.ifValues(
      unit.row != state.row, [&] { return together(loadRows(unit)); },
      [&] { return together(state.rows); });
  const auto words = static_cast<size_t>(xWords());
  return {Vals(ArrayRef(now).take_front(words)), Vals(ArrayRef(now).drop_front(words))};
}

NarrowProducts::Rows NarrowProducts::loadRows(const BlockTile &unit) const {
  return {loadX(unit), layout.isFp8 ? loadRowScales(unit) : Vals()};
}

/// Rows past the last are read as the last.
Val NarrowProducts::rowOf(const BlockTile &unit, Val inUnit) const {
  if (layout.tile.rows == 1)
    return unit.row;
  return e.maximum(e.minimum(unit.row + inUnit, unit.rowEnd - 1), e.i32(0));
}

/// Past K there are zeroes.
Vals NarrowProducts::loadX(const BlockTile &unit) const {
  Vals sources, x;
  for (int64_t first = 0; first < layout.tile.rows; first += kFragmentTokens)
    sources.push_back(
        kernel.frame.rowAddress(kernel.problem.x, rowOf(unit, e.opaque(group) + first)));
  for (int64_t step = 0; step < layout.steps; ++step)
    for (int64_t load = 0; load < layout.tile.loads; ++load)
      for (Val source : sources) {
        Val there = exists(step, load);
        Val at = e.offset(e.offset(source, laneDepth), depthOf(step, load));
        if (there)
          at = e.select(there, at, source);
        for (Val word : e.elements(e.load(e.vector(e.i32(), 4), at, LoadHint::Plain, kLaneBytes)))
          x.push_back(there ? e.select(there, word, e.i32(0)) : word);
      }
  return x;
}

/// A warp of single loads has half of its first block. Computed for each unit anew: it would hold
/// registers meanwhile, as would what follows from it.
Val NarrowProducts::firstScaleBlock() const {
  return e.opaque(warp) * (layout.tile.loads * kLoadBytes) / epi::kScaleBlock;
}

Val NarrowProducts::scaleBlock(Val first, int64_t step, int64_t block) const {
  Val index = first + (step * layout.stageDepth / epi::kScaleBlock + block);
  const bool isLast = layout.isPartial && step + 1 == layout.steps;
  return isLast ? e.minimum(index, e.i32(kernel.problem.scaleBlocks() - 1)) : index;
}

Vals NarrowProducts::loadRowScales(const BlockTile &unit) const {
  Val base = kernel.frame.rowAddress(*kernel.problem.xScale, e.i32(0));
  Val first = firstScaleBlock(), stride = e.toI64(kernel.frame.capacity()) * 4;
  Vals rows, scales;
  for (int64_t i = 0; i < scalesOfBlock(); ++i)
    rows.push_back(rowOf(unit, quad * 2 + (i / 2 * kFragmentTokens + i % 2)));
  for (int64_t step = 0; step < layout.steps; ++step)
    for (int64_t block = 0; block < layout.scales; ++block) {
      Val column = e.offset(base, e.toI64(scaleBlock(first, step, block)) * stride);
      for (Val row : rows)
        scales.push_back(e.load(e.f32(), e.at(column, row, 4)));
    }
  return scales;
}

/// Of the block's first unit, if it has one.
Vals NarrowProducts::firstWeightScales() const {
  if (!layout.isFp8)
    return {};
  const auto count = static_cast<size_t>(layout.steps * layout.scales * layout.parts);
  return e.ifValues(
      units.known() > 0, [&] { return weightScales(e.i32(0)); },
      [&] { return Vals(count, e.f32(0)); });
}

Vals NarrowProducts::weightScales(Val index) const {
  if (!layout.isFp8)
    return {};
  Val place = units.start();
  return loadWeightScales(units.at(index, place));
}

/// The rows of a part share the scales of one row of blocks.
Vals NarrowProducts::loadWeightScales(const BlockTile &unit) const {
  const LinearProblem &problem = kernel.problem;
  Val first = firstScaleBlock();
  Vals sources, scales;
  for (int64_t part = 0; part < layout.parts; ++part) {
    Val row = (unit.column + part * kernel.epilogue.columns()) / epi::kScaleBlock;
    if (unit.matrix)
      row = row + unit.matrix * problem.scaleRows();
    sources.push_back(
        e.at(kernel.frame.rowAddress(*problem.wScale, e.i32(0)), row, problem.scaleBlocks() * 4));
  }
  for (int64_t step = 0; step < layout.steps; ++step)
    for (int64_t block = 0; block < layout.scales; ++block)
      for (Val source : sources)
        scales.push_back(
            e.load(e.f32(), e.at(source, scaleBlock(first, step, block), 4), LoadHint::ReadOnly));
  return scales;
}

/// Takes all stages of the unit. The weights of a step are loaded before the products of the step
/// before, which hide their way.
Vals NarrowProducts::multiplyUnit(State &state) const {
  const Vals zeros(static_cast<size_t>(layout.fragments * layout.tokenFragments * 4), e.f32(0));
  SmallVector<Vals> sums(layout.isFp8 ? 1 : 2, zeros);
  SmallVector<Vals> weights = loadStage(0, state.place);
  for (int64_t step = 0; step < layout.steps; ++step) {
    SmallVector<Vals> next;
    if (step + 1 < layout.steps)
      next = loadStage(step + 1, state.place);
    addStage(sums, weights, state, step);
    weights = std::move(next);
  }
  if (sums.size() > 1)
    for (auto [sum, more] : llvm::zip_equal(sums[0], sums[1]))
      sum = sum + more;
  return sums[0];
}

/// The weights of a stage, 8 words for each fragment of each load; where there is no row 8 below,
/// zeroes. Past K the first weights are read, and x is zero.
SmallVector<Vals> NarrowProducts::loadStage(int64_t step, RingPlace &place) const {
  wait(kernel.full(place.stage), place.parity);
  Val row = e.at(e.at(kernel.shared, place.stage, layout.stageBytes), group, layout.pitch);
  SmallVector<Vals> words;
  for (int64_t load = 0; load < layout.tile.loads; ++load) {
    Val there = exists(step, load), depth = laneDepth + load * kLoadBytes;
    Val source = e.offset(row, there ? e.select(there, depth, e.i32(0)) : depth);
    Vals &ofLoad = words.emplace_back();
    for (int64_t first = 0; first < layout.fragments * kFragmentRows; first += kFragmentRows / 2) {
      if (first >= layout.weightRows) {
        ofLoad.append(4, e.i32(0));
        continue;
      }
      Val at = e.offset(source, first * layout.pitch);
      ofLoad.append(e.elements(e.load(e.vector(e.i32(), 4), at)));
    }
  }
  // Loads may still be under way, and the copies that follow could overtake them.
  fenceAsyncShared(e);
  e.syncWarp();
  e.ifThen(e.lane() == 0, [&] { arrive(kernel.empty(place.stage)); });
  place = nextPlace(place, layout.stages);
  return words;
}

ArrayRef<Val> NarrowProducts::xOf(const State &state, int64_t step, int64_t load) const {
  const int64_t words = layout.tokenFragments * 4;
  return ArrayRef(state.rows.x).slice((step * layout.tile.loads + load) * words, words);
}

/// Products that follow one another go to two sets of sums in turn, for none of them to wait for
/// the one before.
void NarrowProducts::addStage(MutableArrayRef<Vals> sums, ArrayRef<Vals> weights,
                              const State &state, int64_t step) const {
  if (layout.isFp8)
    return addScaledStage(sums[0], weights, state, step);
  for (int64_t load = 0; load < layout.tile.loads; ++load)
    multiplyLoad(sums[static_cast<size_t>((step * layout.tile.loads + load) % 2)],
                 weights[static_cast<size_t>(load)], xOf(state, step, load), /*isFp8=*/false);
}

/// Two loads cover one block of 128 values, whose sums have scales of their own.
void NarrowProducts::addScaledStage(MutableArrayRef<Val> sums, ArrayRef<Vals> weights,
                                    const State &state, int64_t step) const {
  const int64_t loads = std::min<int64_t>(layout.tile.loads, 2), ofRow = scalesOfBlock();
  for (int64_t block = 0; block < layout.scales; ++block) {
    SmallVector<Vals> ofBlock(static_cast<size_t>(loads), Vals(sums.size(), e.f32(0)));
    for (int64_t i = 0; i < loads; ++i)
      multiplyLoad(ofBlock[static_cast<size_t>(i)], weights[static_cast<size_t>(block * loads + i)],
                   xOf(state, step, block * loads + i), /*isFp8=*/true);
    if (loads > 1)
      for (auto [sum, more] : llvm::zip_equal(ofBlock[0], ofBlock[1]))
        sum = sum + more;
    const int64_t index = step * layout.scales + block;
    Vals ofRows(ArrayRef(state.rows.scales).slice(index * ofRow, ofRow)), ofWeights;
    if (ofRow == 1)
      ofRows.push_back(ofRows[0]);
    for (int64_t half = 0; half < 2 * layout.fragments; ++half) {
      const int64_t row = std::min(half * kFragmentRows / 2, layout.weightRows - 1);
      ofWeights.push_back(state.weightScales[index * layout.parts + row / layout.tile.columns]);
    }
    addScaled(sums, ofBlock[0], ofWeights, ofRows);
  }
}

void NarrowProducts::keep(ArrayRef<Val> sums, Val memory) const {
  const int64_t pitch = layout.sums.pitch(), rows = layout.tile.rows;
  Val corner = e.at(e.at(e.at(memory, warp, rows * pitch * 4), quad, 2 * pitch * 4), group, 4);
  auto keepRows = [&](int64_t rowsOfLane) {
    for (int64_t f = 0; f < layout.fragments; ++f)
      for (int64_t i = 0; i < layout.tokenFragments; ++i)
        for (int64_t reg = 0; reg < 4; ++reg) {
          const int64_t row = reg % 2;
          const int64_t column = f * kFragmentRows + reg / 2 * (kFragmentRows / 2);
          if (row < rowsOfLane && column < layout.weightRows)
            e.store(sums[static_cast<size_t>((f * layout.tokenFragments + i) * 4 + reg)],
                    e.offset(corner, ((i * kFragmentTokens + row) * pitch + column) * 4));
        }
  };
  if (rows == 1)
    e.ifThen(quad == 0, [&] { keepRows(1); });
  else
    keepRows(2);
}

} // namespace epigraph::cuda
