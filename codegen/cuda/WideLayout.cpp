#include "codegen/cuda/WideLayout.h"

#include "codegen/cuda/GroupList.h"

#include <algorithm>
#include <numeric>

namespace epigraph::cuda {
namespace {

/// Bytes of K in a stage: the width of the swizzle that copies and wgmma agree on.
constexpr int64_t kStageRowBytes = 128;
/// Rows that a warpgroup gives wgmma.
constexpr int64_t kProductRows = 64;
/// Rows of x that pass to shared memory at once, where they are the other operand.
constexpr int64_t kFragmentRows = 16;
/// More stages than these hide no more latency.
constexpr int64_t kMostStages = 12;
/// Columns of a slab: 16 lanes with 8 columns each read a row, and 128 columns have one scale.
constexpr int64_t kSlabColumns = 128;

/// Shared memory that the system keeps of each block.
constexpr int64_t kReservedBytes = 1024;

/// What each of `blocks` that a multiprocessor holds at once may have.
int64_t sharedOfBlock(const CudaTarget &target, int64_t blocks) {
  return (target.sharedBytes + kReservedBytes) / blocks / 128 * 128 - kReservedBytes;
}

/// Shares of at least so many steps, or what a block reads is not worth its start; and of so many
/// that no more than this number of blocks have parts of a tile, each of which a lane waits for.
constexpr int64_t kLeastSteps = 4;
constexpr int64_t kMostSharing = 24;
/// Blocks, of as many as there are multiprocessors, that read as fast as memory is.
constexpr double kEnoughBlocks = 0.9;

} // namespace

WideLayout::WideLayout(const LinearProblem &problem, const LinearEpilogue &epilogue,
                       const WideTile &tile, const CudaTarget &target, int64_t mostRows)
    : tile(tile), hasOneRowTile(problem.kind == LinearKind::Linear && mostRows > 0 &&
                                mostRows <= tile.rows * tile.multicast),
      isFp8(!problem.xType().isBF16()), parts(epilogue.parts()),
      cluster(tile.multicast * tile.split), blockDepth(kStageRowBytes / (isFp8 ? 1 : 2)),
      blocksOfDepth(llvm::divideCeil(problem.depth, blockDepth)),
      columnTiles(llvm::divideCeil(epilogue.columns(), tile.columns)),
      weightRows(parts * tile.columns) {
  // Swapped, a fragment is 64 weights of each warpgroup by the tile's rows. Else 64 rows of x
  // by as many weights as wgmma takes; with scales by those of one block, which share theirs.
  warpgroups =
      tile.swapped ? std::min(tile.columns / kProductRows, int64_t{2}) : tile.rows / kProductRows;
  const int64_t widest = isFp8 ? epi::kScaleBlock : 256;
  fragmentStep = tile.swapped ? warpgroups * kProductRows : std::min(tile.columns, widest);
  fragments = weightRows / fragmentStep;
  fragmentWidth = tile.swapped ? tile.rows : fragmentStep;
  tokenBytes = tile.rows * kStageRowBytes;
  weightBytes = weightRows * kStageRowBytes;
  stageBytes = tokenBytes + weightBytes;
  scaleStride = isFp8 ? llvm::alignTo((tile.rows + kScaleRowAlignment) * 4, 128) : 0;
  shareOut(target);
  layOutSlabs(problem);
  layOutShared(problem, sharedOfBlock(target, tile.blocksOfCore));
}

/// As many shares as there are multiprocessors. Of one tile along the rows it is known how many
/// tiles there are: a few shares less, where every tile can have the same number of blocks then,
/// none of which has parts of two tiles.
void WideLayout::shareOut(const CudaTarget &target) {
  leastSteps = std::max<int64_t>(kLeastSteps, llvm::divideCeil(blocksOfDepth, kMostSharing));
  shares = tile.streamed ? target.multiprocessors : 0;
  if (!tile.streamed || !hasOneRowTile)
    return;
  shares = std::clamp<int64_t>(columnTiles * blocksOfDepth / leastSteps, 1, shares);
  const int64_t even = shares / columnTiles * columnTiles;
  if (static_cast<double>(even) >= kEnoughBlocks * static_cast<double>(shares))
    shares = even;
}

void WideLayout::layOutSlabs(const LinearProblem &problem) {
  teams = tile.swapped ? 1 : warpgroups;
  teamThreads = warpgroups * 128 / teams;
  slabColumns = std::gcd(tile.columns, kSlabColumns);
  slabRows = kProductRows;
  if (tile.swapped && tile.rows <= kProductRows)
    slabRows = tile.rows;
  else if (tile.swapped) // Half the rows, if fragments of 16 have a half.
    slabRows = tile.rows % (2 * kFragmentRows) == 0 ? tile.rows / 2 : kFragmentRows;
  slabs = tile.columns / slabColumns * (tile.rows / teams / slabRows);
  // Sums that other blocks add to theirs, and float32 results, are staged as they are; the padding
  // keeps the lanes of a fragment in different banks. 16-bit ones are swizzled instead.
  const bool isWide = tile.split > 1 || problem.resultType().isF32();
  slabPitch = isWide ? slabColumns * 4 + (tile.swapped ? 16 : 32) : slabColumns * 2;
  slabPartBytes = slabRows * slabPitch;
  slabBytes = parts * slabPartBytes;
}

void WideLayout::layOutShared(const LinearProblem &problem, int64_t sharedLimit) {
  const int64_t listBytes =
      problem.kind == LinearKind::Grouped ? GroupList::bytes(problem.matrices) : 0;
  // With a shared K the tile is the block's only one, so its slabs take the place of the stages.
  const int64_t allSlabs = teams * slabBytes * (tile.split > 1 ? slabs : 1);
  const int64_t ownSlabs = tile.split > 1 ? 0 : llvm::alignTo(allSlabs, 128);
  const int64_t barriers = 2 * 8 * kMostStages;
  const int64_t left = sharedLimit - ownSlabs - barriers - listBytes - 128;
  stages = std::min(kMostStages, left / (stageBytes + scaleStride));
  slabsAt = tile.split > 1 ? 0 : stages * stageBytes;
  scalesAt = stages * stageBytes + ownSlabs;
  fullAt = scalesAt + stages * scaleStride;
  emptyAt = fullAt + 8 * stages;
  listAt = llvm::alignTo(emptyAt + 8 * stages, 16);
  sharedBytes = std::max(listAt + listBytes, tile.split > 1 ? allSlabs : 0);
}

} // namespace epigraph::cuda
