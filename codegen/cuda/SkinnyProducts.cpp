#include "codegen/cuda/SkinnyProducts.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Iterations whose weights are fetched ahead.
constexpr int64_t kPrefetched = 2;

} // namespace

SkinnyLayout::SkinnyLayout(const LinearProblem &problem, const LinearEpilogue &epilogue,
                           const SkinnyTile &tile)
    : tile(tile), parts(epilogue.parts()),
      columns(kFragmentRows * tile.fragments / parts * tile.warpsAcross),
      weightRows(columns * parts), isFp8(!problem.wType().isBF16()),
      depthBytes(problem.depth * bytesOf(problem.wType())),
      iterations(llvm::divideCeil(depthBytes, tile.unroll * kLoadBytes)),
      isPartial(depthBytes % (tile.unroll * kLoadBytes) != 0),
      sums{tile.rows, columns, parts, tile.warpsDeep, tile.split} {}

SkinnyProducts::SkinnyProducts(KernelFrame &frame, const LinearProblem &problem,
                               const LinearEpilogue &epilogue, const SkinnyLayout &layout, Val rank)
    : frame(frame), e(frame.e), problem(problem), epilogue(epilogue), layout(layout), rank(rank) {
  Val warp = e.warp(), lane = e.lane();
  warpAcross = warp % layout.tile.warpsAcross;
  warpDeep = warp / layout.tile.warpsAcross;
  group = lane >> 2;
  quad = lane & 3;
}

Val SkinnyProducts::columnOf(const BlockTile &tile, int64_t fragment) {
  const int64_t ofWarp = layout.tile.fragments / layout.parts;
  Val first = tile.column + warpAcross * (ofWarp * kFragmentRows);
  return first + fragment / layout.parts * kFragmentRows;
}

/// Fragment f is of part f % parts. Rows past the last are read as the last.
Vals SkinnyProducts::weightSources(const BlockTile &tile) {
  Val base = frame.rowAddress(problem.w, e.i32(0));
  if (tile.matrix)
    base = e.at(base, tile.matrix, problem.outputs * layout.depthBytes);
  Vals sources;
  for (int64_t f = 0; f < layout.tile.fragments; ++f)
    for (int64_t half = 0; half < kFragmentRows; half += kFragmentRows / 2) {
      Val column = e.minimum(columnOf(tile, f) + group + half, e.i32(epilogue.columns() - 1));
      Val row = column + f % layout.parts * epilogue.columns();
      sources.push_back(e.at(e.at(base, row, layout.depthBytes), quad, kLaneBytes));
    }
  return sources;
}

Vals SkinnyProducts::rowSources(const BlockTile &tile) {
  Vals sources;
  for (int64_t first = 0; first < layout.tile.rows; first += kFragmentTokens) {
    Val row = e.minimum(tile.row + group + first, tile.rowEnd - 1);
    Val base = frame.rowAddress(problem.x, row);
    if (problem.kind == LinearKind::Heads)
      base = e.at(base, tile.matrix, problem.x.strides[0] * bytesOf(problem.xType()));
    sources.push_back(e.at(base, quad, kLaneBytes));
  }
  return sources;
}

/// A fragment's rows of weights share the scales of one row of blocks.
SkinnyProducts::ScaleSources SkinnyProducts::scaleSources(const BlockTile &tile) {
  ScaleSources sources;
  if (!layout.isFp8)
    return sources;
  for (int64_t f = 0; f < layout.tile.fragments; ++f) {
    Val column = e.minimum(columnOf(tile, f), e.i32(epilogue.columns() - 1));
    Val row = (column + f % layout.parts * epilogue.columns()) / epi::kScaleBlock;
    if (tile.matrix)
      row = row + tile.matrix * problem.scaleRows();
    sources.weights.push_back(e.at(frame.rowAddress(*problem.wScale, e.i32(0)), row,
                                   problem.scaleBlocks() * static_cast<int64_t>(sizeof(float))));
  }
  for (int64_t first = 0; first < layout.tile.rows; first += kFragmentTokens)
    for (int64_t i = 0; i < 2; ++i)
      sources.rows.push_back(e.minimum(tile.row + quad * 2 + (first + i), tile.rowEnd - 1));
  return sources;
}

/// The range of iterations of the warp, of those that share K.
std::pair<Val, Val> SkinnyProducts::iterations() {
  const int64_t shares = layout.tile.warpsDeep * layout.tile.split;
  Val share = rank ? rank * layout.tile.warpsDeep + warpDeep : warpDeep;
  return {share * layout.iterations / shares, (share + 1) * layout.iterations / shares};
}

void SkinnyProducts::prefetch(const BlockTile &tile) {
  const int64_t bytes = layout.tile.unroll * kLoadBytes;
  auto [begin, end] = iterations();
  for (Val source : weightSources(tile))
    for (int64_t i = 0; i < kPrefetched; ++i) {
      Val iteration = e.minimum(begin + i, e.i32(layout.iterations - 1));
      // The four lanes of a row fetch a line of 128 bytes each.
      for (int64_t first = 0; first < bytes; first += 4 * 128) {
        Val line = quad * (128 - kLaneBytes) + (iteration * bytes + first);
        e.ptx({}, "prefetch.global.L2 [$0];", "l",
              e.offset(source, e.minimum(line, e.i32(layout.depthBytes - kLoadBytes))));
      }
    }
}

void SkinnyProducts::multiply(const BlockTile &tile, Val sums) {
  const Vals weights = weightSources(tile), x = rowSources(tile);
  const ScaleSources scales = scaleSources(tile);
  auto [begin, end] = iterations();
  Vals zeros(layout.accumulators() * 4, e.f32(0));
  keep(e.forLoop(begin, end, e.i32(1), zeros,
                 [&](Val iteration, ArrayRef<Val> carried) {
                   return iterate(weights, x, scales, iteration, carried);
                 }),
       sums);
}

/// All loads first, then all products. Past K, weights are read again and x is zero.
Vals SkinnyProducts::iterate(ArrayRef<Val> weights, ArrayRef<Val> x, const ScaleSources &scales,
                             Val iteration, ArrayRef<Val> carried) {
  const int64_t unroll = layout.tile.unroll;
  Type lane = e.vector(e.i32(), 4);
  SmallVector<Vals> a(unroll), b(unroll);
  SmallVector<Val> places, exists(unroll);
  for (int64_t u = 0; u < unroll; ++u) {
    Val place = iteration * (unroll * kLoadBytes) + u * kLoadBytes;
    if (layout.isPartial) {
      exists[u] = place + quad * kLaneBytes < layout.depthBytes;
      place = e.select(exists[u], place, e.i32(0));
    }
    places.push_back(place);
    for (Val source : weights)
      a[u].append(e.elements(e.load(lane, e.offset(source, place), LoadHint::Stream)));
  }
  for (int64_t u = 0; u < unroll; ++u)
    for (Val source : x)
      for (Val word : e.elements(e.load(lane, e.offset(source, places[u]), LoadHint::Plain, 16)))
        b[u].push_back(exists[u] ? e.select(exists[u], word, e.i32(0)) : word);

  Vals sums(carried), ofBlock;
  for (int64_t u = 0; u < unroll; ++u) {
    // Two loads cover one block of 128 values, whose sums have scales of their own.
    if (layout.isFp8 && u % 2 == 0)
      ofBlock.assign(sums.size(), e.f32(0));
    Vals &into = layout.isFp8 ? ofBlock : sums;
    multiplyLoad(into, a[u], b[u], layout.isFp8);
    if (layout.isFp8 && u % 2 == 1)
      promote(sums, ofBlock, scales, iteration * (unroll / 2) + u / 2);
  }
  return sums;
}

/// Adds the sums of one block of K, times its scales. Blocks past K have sums of zero.
void SkinnyProducts::promote(MutableArrayRef<Val> sums, ArrayRef<Val> ofBlock,
                             const ScaleSources &scales, Val block) {
  if (layout.isPartial)
    block = e.minimum(block, e.i32(problem.scaleBlocks() - 1));
  Val column = e.offset(frame.rowAddress(*problem.xScale, e.i32(0)),
                        e.toI64(block) * e.toI64(frame.capacity()) * 4);
  Vals ofRows;
  for (Val row : scales.rows)
    ofRows.push_back(e.load(e.f32(), e.at(column, row, 4)));
  Vals ofWeights;
  for (Val source : scales.weights) {
    Val scale = e.load(e.f32(), e.at(source, block, 4), LoadHint::ReadOnly);
    ofWeights.append({scale, scale});
  }
  addScaled(sums, ofBlock, ofWeights, ofRows);
}

void SkinnyProducts::keep(ArrayRef<Val> sums, Val memory) {
  const int64_t columns = layout.tile.rows / kFragmentTokens;
  const int64_t ofWarp = layout.tile.fragments / layout.parts;
  Val own = e.at(memory, warpDeep, layout.tile.rows * layout.sums.pitch() * 4);
  Val corner = e.at(e.at(own, quad, 2 * layout.sums.pitch() * 4),
                    warpAcross * (ofWarp * kFragmentRows) + group, 4);
  for (int64_t f = 0; f < layout.tile.fragments; ++f)
    for (int64_t i = 0; i < columns; ++i)
      for (int64_t reg = 0; reg < 4; ++reg) {
        const int64_t row = i * kFragmentTokens + reg % 2;
        const int64_t column = f % layout.parts * layout.columns +
                               f / layout.parts * kFragmentRows + reg / 2 * (kFragmentRows / 2);
        e.store(sums[(f * columns + i) * 4 + reg],
                e.offset(corner, (row * layout.sums.pitch() + column) * 4));
      }
}

} // namespace epigraph::cuda
