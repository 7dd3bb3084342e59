#include "codegen/cuda/SkinnyLinear.h"

#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/SkinnyProducts.h"

#include <numeric>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kLaneBytes = 16;
/// What the four lanes of a row read together; no row is shorter.
constexpr int64_t kLoadBytes = 4 * kLaneBytes;
constexpr int64_t kMostSplit = 8;
/// Share of the multiprocessors that have work, from which more blocks gain less than longer ones.
constexpr double kFullShare = 0.8;
/// Columns that a thread stores at once.
constexpr int64_t kStored = 2;

int64_t bytesOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

/// Adds up what the warps that share K have, and stores the results of a tile.
class SumStore {
public:
  SumStore(KernelFrame &frame, const LinearEpilogue &epilogue, const SkinnyLayout &layout, Val rank)
      : frame(frame), e(frame.e), epilogue(epilogue), layout(layout), rank(rank) {}

  void store(const BlockTile &tile, Val sums) {
    const int64_t count = std::gcd(kStored, epilogue.columns());
    const int64_t across = layout.columns / count, pieces = layout.tile.rows * across;
    const int64_t threads = layout.threads() * layout.tile.split;
    Val thread = e.threadId();
    if (rank)
      thread = thread + rank * layout.threads();
    for (int64_t first = 0; first < pieces; first += threads) {
      Val piece = thread + first, row = piece / across, column = piece % across * count;
      Val exists =
          e.logicalAnd(tile.row + row < tile.rowEnd, tile.column + column < epilogue.columns());
      if (first + threads > pieces)
        exists = e.logicalAnd(exists, piece < pieces);
      e.ifThen(exists, [&] { storePiece(tile, sums, row, column, count); });
    }
  }

private:
  void storePiece(const BlockTile &tile, Val sums, Val row, Val column, int64_t count) {
    Vals values;
    for (int64_t part = 0; part < layout.parts; ++part) {
      Val place = row * layout.pitch + column + part * layout.columns;
      Vals total = add(e.at(sums, place, 4), count);
      Val inProduct = tile.column + column + part * epilogue.columns();
      for (auto [sum, more] : llvm::zip(total, epilogue.bias(frame, tile.matrix, inProduct, count)))
        sum = sum + more;
      values.append(total);
    }
    epilogue.store(frame, values, {tile.row + row, tile.matrix, tile.column + column, count});
  }

  Vals add(Val address, int64_t count) {
    Vals total;
    for (int64_t block = 0; block < layout.tile.split; ++block) {
      Val of = rank ? inCluster(address, e.i32(block)) : address;
      for (int64_t warp = 0; warp < layout.tile.warpsDeep; ++warp) {
        Val at = e.offset(of, warp * layout.tile.rows * layout.pitch * 4);
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

  KernelFrame &frame;
  Emitter &e;
  const LinearEpilogue &epilogue;
  const SkinnyLayout &layout;
  Val rank;
};

void emit(KernelFrame &frame, const LinearProblem &problem, const LinearEpilogue &epilogue,
          const SkinnyLayout &layout, const BlockTiles &tiles) {
  Emitter &e = frame.e;
  Val rank = layout.tile.split > 1 ? clusterRank(e) : Val();
  auto meet = [&] { rank ? clusterSync(e) : e.syncThreads(); };
  SkinnyProducts products(frame, problem, epilogue, layout, rank);
  SumStore store(frame, epilogue, layout, rank);
  Val sums = e.sharedMemory(), list = e.offset(sums, layout.sumBytes());
  const bool isGrouped = problem.kind == LinearKind::Grouped;
  if (!isGrouped) {
    e.allowNext();
    products.prefetch(tiles.ofBlock(frame));
  }
  e.waitForPrevious();
  if (isGrouped)
    e.allowNext(); // Only now: followsProjectionOfGroups.
  tiles.forEach(frame, list, layout.threads(), [&](const BlockTile &tile) {
    products.multiply(tile, sums);
    meet();
    store.store(tile, sums);
    // The sums may be overwritten, or the block end, once all have read them.
    if (rank || isGrouped)
      meet();
  });
}

/// Blocks that a multiprocessor holds at once, by the registers of their sums; those of FP8 have
/// sums of a block of K beside those of all blocks, and those of groups have places in the list.
/// Heads are many short blocks, all of which should have asked for their weights before the kernel
/// before has ended.
int64_t blocksOfCore(const LinearProblem &problem, const SkinnyLayout &layout) {
  if (problem.kind == LinearKind::Heads && layout.accumulators() == 1)
    return 4;
  const bool isTight = layout.accumulators() * (layout.isFp8 ? 2 : 1) >= 4;
  const bool isGrouped = problem.kind == LinearKind::Grouped;
  return isTight || (isGrouped && layout.tile.rows > 8) ? 1 : 2;
}

std::string suffixOf(const SkinnyTile &tile) {
  return "skinny" + std::to_string(tile.rows) + "_" + std::to_string(tile.fragments) + "x" +
         std::to_string(tile.warpsAcross) + "x" + std::to_string(tile.warpsDeep) + "_unroll" +
         std::to_string(tile.unroll) + "_split" + std::to_string(tile.split);
}

} // namespace

bool canBeSkinny(const LinearProblem &problem, const LinearEpilogue &epilogue) {
  const int64_t bytes = bytesOf(problem.wType());
  auto isAligned = [&](int64_t elements) { return elements * bytes % kLaneBytes == 0; };
  const bool hasBf16 = problem.xType().isBF16() && problem.wType().isBF16();
  const bool hasFp8 = problem.xScale && problem.wScale;
  return (hasBf16 || hasFp8) && !epilogue.quantized() && isAligned(problem.depth) &&
         problem.depth * bytes >= kLoadBytes && isAligned(problem.w.offset) &&
         isAligned(problem.x.offset) && isAligned(problem.x.rowStride) &&
         (problem.kind != LinearKind::Heads || isAligned(problem.x.strides[0])) &&
         (!hasFp8 || epilogue.parts() == 1 || epilogue.columns() % 16 == 0);
}

/// The best of what was measured for DeepSeek-V3's projections (docs/cuda-kernels.md).
SkinnyTile skinnyTile(const LinearProblem &problem, const LinearEpilogue &epilogue,
                      int64_t mostRows, const CudaTarget &target) {
  const int64_t matrices = problem.kind == LinearKind::Linear ? 1 : problem.matrices;
  auto blocksOf = [&](const SkinnyTile &tile) -> int64_t {
    const int64_t columns = SkinnyLayout(problem, epilogue, tile).columns;
    return llvm::divideCeil(epilogue.columns(), columns) * matrices;
  };
  const bool isFp8 = !problem.wType().isBF16();
  SkinnyTile tile;
  tile.rows = mostRows <= 8 ? 8 : mostRows <= 16 ? 16 : 32;
  // Rows of x are read once for each block: the more of them, the more weights should share them.
  const int64_t together = tile.rows == 32 ? 2 : 1;
  tile.fragments = epilogue.parts() * llvm::divideCeil(together, epilogue.parts());
  tile.unroll = tile.fragments == 1 && !(isFp8 && tile.rows > 8) ? 4 : 2;
  // Warps side by side have a longer part of K each, and start and end less often.
  SkinnyTile wide = tile;
  wide.warpsAcross = 2;
  wide.warpsDeep = 4;
  if (tile.rows == 16 && !isFp8) {
    wide.fragments = epilogue.parts() * llvm::divideCeil(int64_t(2), epilogue.parts());
    wide.unroll = 2;
  }
  if (tile.rows <= 16 && static_cast<double>(blocksOf(wide)) >=
                             static_cast<double>(target.multiprocessors) * kFullShare)
    tile = wide;
  const int64_t iterations = SkinnyLayout(problem, epilogue, tile).iterations;
  while (tile.warpsDeep > 1 && iterations < tile.warpsDeep) {
    tile.warpsDeep /= 2;
    tile.warpsAcross *= 2;
  }
  while (problem.kind == LinearKind::Linear && tile.split < kMostSplit &&
         blocksOf(tile) * tile.split * 2 < target.multiprocessors &&
         iterations >= tile.warpsDeep * tile.split * 2)
    tile.split *= 2;
  return tile;
}

void addSkinnyLinear(KernelAssembly &assembly, const LinearProblem &problem,
                     const LinearEpilogue &epilogue, const SkinnyTile &tile) {
  const SkinnyLayout layout(problem, epilogue, tile);
  const BlockTiles tiles(problem, epilogue, tile.rows, layout.columns, tile.split);
  FunctionSpec spec;
  spec.suffix = suffixOf(tile);
  spec.threads = layout.threads();
  spec.blocksOfCore = blocksOfCore(problem, layout);
  spec.sharedBytes = layout.sumBytes() + tiles.sharedBytes();
  tiles.setGrid(spec, assembly.target, spec.blocksOfCore);
  assembly.addFunction(spec,
                       [&](KernelFrame &frame) { emit(frame, problem, epilogue, layout, tiles); });
}

} // namespace epigraph::cuda
