#include "codegen/cuda/FragmentSums.h"

#include "codegen/cuda/Hopper.h"

#include <numeric>

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Columns that a thread stores at once.
constexpr int64_t kStored = 2;

} // namespace

void multiplyLoad(MutableArrayRef<Val> sums, ArrayRef<Val> weights, ArrayRef<Val> x, bool isFp8) {
  const size_t fragments = weights.size() / 8, columns = x.size() / 4;
  for (size_t half = 0; half < 4; half += 2)
    for (size_t f = 0; f < fragments; ++f) {
      ArrayRef<Val> first = weights.slice(f * 8, 4), second = weights.slice(f * 8 + 4, 4);
      const Vals fragment{first[half], second[half], first[half + 1], second[half + 1]};
      for (size_t i = 0; i < columns; ++i) {
        MutableArrayRef<Val> acc = sums.slice((f * columns + i) * 4, 4);
        ArrayRef<Val> tokens = x.slice(i * 4 + half, 2);
        llvm::copy(isFp8 ? multiplyWarpE4m3(acc, fragment, tokens)
                         : multiplyWarp(acc, fragment, tokens),
                   acc.begin());
      }
    }
}

void addScaled(MutableArrayRef<Val> sums, ArrayRef<Val> ofBlock, ArrayRef<Val> ofWeights,
               ArrayRef<Val> ofRows) {
  Emitter &e = sums[0].owner();
  const size_t fragments = ofWeights.size() / 2, columns = ofRows.size() / 2;
  for (size_t f = 0; f < fragments; ++f)
    for (size_t i = 0; i < columns; ++i)
      for (size_t reg = 0; reg < 4; ++reg) {
        const size_t index = (f * columns + i) * 4 + reg;
        Val scale = ofWeights[f * 2 + reg / 2] * ofRows[i * 2 + reg % 2];
        sums[index] = e.fma(ofBlock[index], scale, sums[index]);
      }
}

void SumStore::store(const BlockTile &tile, Val sums, Val thread, int64_t threads) const {
  const int64_t count = std::gcd(kStored, epilogue.columns());
  const int64_t across = layout.columns / count, pieces = layout.rows * across;
  if (rank) {
    thread = thread + rank * threads;
    threads *= layout.blocks;
  }
  for (int64_t first = 0; first < pieces; first += threads) {
    Val piece = thread + first, row = piece / across, column = piece % across * count;
    Val exists =
        e.logicalAnd(tile.row + row < tile.rowEnd, tile.column + column < epilogue.columns());
    if (first + threads > pieces)
      exists = e.logicalAnd(exists, piece < pieces);
    e.ifThen(exists, [&] { storePiece(tile, sums, row, column, count); });
  }
}

void SumStore::storePiece(const BlockTile &tile, Val sums, Val row, Val column,
                          int64_t count) const {
  Vals values;
  for (int64_t part = 0; part < layout.parts; ++part) {
    Val place = row * layout.pitch() + column + part * layout.columns;
    Vals total = add(e.at(sums, place, 4), count);
    Val inProduct = tile.column + column + part * epilogue.columns();
    for (auto [sum, more] : llvm::zip(total, epilogue.bias(frame, tile.matrix, inProduct, count)))
      sum = sum + more;
    values.append(total);
  }
  epilogue.store(frame, values, {tile.row + row, tile.matrix, tile.column + column, count});
}

Vals SumStore::add(Val address, int64_t count) const {
  Vals total;
  for (int64_t block = 0; block < layout.blocks; ++block) {
    Val of = rank ? inCluster(address, e.i32(block)) : address;
    for (int64_t warp = 0; warp < layout.warps; ++warp) {
      Val at = e.offset(of, warp * layout.rows * layout.pitch() * 4);
      Vals more = loadFloats(e, e.f32(), at, count, 4 * count);
      if (total.empty())
        total = more;
      else
        for (auto [sum, x] : llvm::zip_equal(total, more))
          sum = sum + x;
    }
  }
  return total;
}

} // namespace epigraph::cuda
