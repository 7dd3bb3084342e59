#include "codegen/cuda/SkinnyLinear.h"

#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/SkinnyProducts.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kMostSplit = 8;
/// Share of the multiprocessors that have work, from which more blocks gain less than longer ones.
constexpr double kFullShare = 0.8;

void emit(KernelFrame &frame, const LinearProblem &problem, const LinearEpilogue &epilogue,
          const SkinnyLayout &layout, const BlockTiles &tiles) {
  Emitter &e = frame.e;
  Val rank = layout.tile.split > 1 ? clusterRank(e) : Val();
  auto meet = [&] { rank ? clusterSync(e) : e.syncThreads(); };
  SkinnyProducts products(frame, problem, epilogue, layout, rank);
  SumStore store(frame, epilogue, layout.sums, rank);
  Val sums = e.sharedMemory(), list = e.offset(sums, layout.sums.bytes());
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
    store.store(tile, sums, e.threadId(), layout.threads());
    // The sums may be overwritten, or the block end, once all have read them.
    if (rank || isGrouped)
      meet();
  });
}

/// Blocks that a multiprocessor holds at once, by the registers of their sums; those of FP8 have
/// sums of a block of K beside those of all blocks, and those of groups have places in the list.
int64_t blocksOfCore(const LinearProblem &problem, const SkinnyLayout &layout) {
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
  spec.sharedBytes = layout.sums.bytes() + tiles.sharedBytes();
  tiles.setGrid(spec, assembly.target, spec.blocksOfCore);
  assembly.addFunction(spec,
                       [&](KernelFrame &frame) { emit(frame, problem, epilogue, layout, tiles); });
}

} // namespace epigraph::cuda
