// A model of time, in cycles of a multiprocessor: tiles come in waves; a stage takes as long as its
// products or as its copies, whichever is longer; and all of it takes at least as long as memory
// needs for the weights. Numbers are an H200's, fitted to measurements of all tiles.
#include "codegen/cuda/LinearTiles.h"

#include <cmath>

#include "codegen/cuda/WideLinear.h"

namespace epigraph::cuda {
namespace {

/// Bytes of shared memory that wgmma reads, and copies write, in a cycle; the share of both that
/// does not overlap.
constexpr double kSharedBytes = 128, kSharedShare = 0.95;
/// Bytes that a multiprocessor gets from the second-level cache in a cycle.
constexpr double kCacheBytes = 70;
/// Bytes of memory in a cycle, for all of them: 4.5 TB/s at 1.75 GHz.
constexpr double kMemoryBytes = 2570;
/// From the start of a launch to its first product.
constexpr double kStartCycles = 3000;
/// Between the tiles of a block; and for each value of a warpgroup, to store it.
constexpr double kTileCycles = 300, kStoreCyclesOfValue = 0.14;
/// What it takes the blocks of a cluster to start, exchange sums and end, for every tile.
constexpr double kSplitCycles = 8000;
/// Share of the rate of products that is reached.
constexpr double kProductShare = 0.86;
/// With scales, sums are multiplied and added between products: so many times as long. The sums of
/// a swapped tile need a scale each; one warpgroup alone, or narrow ones, multiply little
/// meanwhile.
constexpr double kScaled = 1.32, kScaledPair = 1.2, kScaledSwapped = 1.7, kScaledAlone = 1.72;
/// What it costs to read a group's weights once more for another tile of its rows.
constexpr double kReadAgain = 0.3;
/// What shows of work that is hidden behind longer work.
constexpr double kHidden = 0.05;
/// Share of the clusters of blocks, of as many as there is room for, that are resident together.
constexpr double kClusterShare = 0.9;

double scaledFactor(const WideLayout &layout) {
  if (!layout.isFp8)
    return 1;
  if (layout.warpgroups == 1 || (!layout.tile.swapped && layout.fragmentWidth < epi::kScaleBlock))
    return kScaledAlone;
  if (layout.tile.swapped)
    return kScaledSwapped;
  return layout.fragments > 1 ? kScaledPair : kScaled;
}

double stageCycles(const WideLayout &layout) {
  const auto width = static_cast<double>(layout.fragmentWidth);
  // 64 x width x 32 bytes: half a cycle a column, or as long as shared memory is read.
  const double steps = 4.0 * static_cast<double>(layout.fragments * layout.warpgroups);
  const double reads = (64.0 + width) * 32 / kSharedBytes;
  const double products = steps * std::max(width / 2, reads) / kProductShare * scaledFactor(layout);
  const double writes = static_cast<double>(layout.stageBytes) / kSharedBytes;
  const double copies = static_cast<double>(layout.stageBytes) / kCacheBytes;
  return std::max({products, (steps * reads + writes) * kSharedShare, copies});
}

/// Tiles along the rows. Of groups, as many as there are on average: the last of a group is full in
/// part, and which size a group has is chance.
double rowTiles(const LinearProblem &problem, const WideTile &tile, int64_t rows) {
  const int64_t high = tile.rows * tile.multicast;
  if (problem.kind != LinearKind::Grouped)
    return static_cast<double>(llvm::divideCeil(rows, high));
  const auto groups = static_cast<double>(std::min(problem.matrices, rows));
  const double ofGroup = static_cast<double>(rows) / groups / static_cast<double>(high) + 0.5;
  return groups * std::max(1.0, ofGroup);
}

double cyclesOf(const LinearProblem &problem, const LinearEpilogue &epilogue,
                const WideLayout &layout, int64_t rows, const CudaTarget &target) {
  const WideTile &tile = layout.tile;
  const double tiles = rowTiles(problem, tile, rows) * static_cast<double>(layout.columnTiles);
  double clusters = static_cast<double>(target.multiprocessors / layout.cluster);
  if (layout.cluster > 1)
    clusters = std::floor(clusters * kClusterShare);
  const double waves = std::ceil(tiles / clusters);
  const auto stages = static_cast<double>(llvm::divideCeil(layout.blocksOfDepth, tile.split));
  double ofTile = stages * stageCycles(layout) + kTileCycles +
                  kStoreCyclesOfValue * static_cast<double>(tile.rows * layout.weightRows) /
                      static_cast<double>(layout.warpgroups);
  if (tile.split > 1)
    ofTile += kSplitCycles;
  const int64_t read =
      std::min(problem.matrices, rows) * problem.outputs * problem.depth * (layout.isFp8 ? 1 : 2);
  // Where one of the two hides the other, a little of it still shows.
  double memory = static_cast<double>(read) / kMemoryBytes;
  if (problem.kind == LinearKind::Grouped)
    memory *= 1 + kReadAgain * (rowTiles(problem, tile, rows) /
                                    static_cast<double>(std::min(problem.matrices, rows)) -
                                1);
  const double work = waves * ofTile;
  return kStartCycles + std::max(work, memory) + kHidden * std::min(work, memory);
}

/// None with multicast: of its clusters, which all stay to the end, some would start only then.
std::vector<WideTile> candidates() {
  std::vector<WideTile> tiles;
  for (int64_t rows : {64, 128})
    for (int64_t columns : {64, 128, 256})
      tiles.push_back({false, rows, columns, 1, 1});
  for (int64_t split : {2, 4, 8})
    for (int64_t columns : {64, 128})
      tiles.push_back({false, 64, columns, 1, split});
  for (int64_t rows : {16, 32, 48, 64, 80, 96, 112, 128})
    for (int64_t columns : {128, 256})
      tiles.push_back({true, rows, columns, 1, 1});
  for (int64_t split : {2, 4})
    for (int64_t rows : {32, 64})
      tiles.push_back({true, rows, 128, 1, split});
  return tiles;
}

/// Numbers of rows at which the choice may change; of each matrix, where there are groups.
constexpr int64_t kSteps[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048};
constexpr int64_t kManyRows = 8192;
/// A gain that is worth another device function.
constexpr double kWorthOfFunction = 1.03;

} // namespace

std::vector<TileChoice> chooseTiles(const LinearProblem &problem, const LinearEpilogue &epilogue,
                                    const CudaTarget &target) {
  std::vector<WideLayout> layouts;
  for (const WideTile &tile : candidates())
    if (fits(tile, problem, epilogue, target))
      layouts.emplace_back(problem, epilogue, tile, target, /*mostRows=*/0);
  if (layouts.empty())
    return {};
  auto cycles = [&](const WideLayout &layout, int64_t rows) {
    return cyclesOf(problem, epilogue, layout, rows, target);
  };
  auto best = [&](int64_t rows) {
    return &*llvm::min_element(layouts, [&](const WideLayout &a, const WideLayout &b) {
      return cycles(a, rows) < cycles(b, rows);
    });
  };
  std::vector<TileChoice> choices;
  const WideLayout *last = nullptr;
  auto add = [&](int64_t mostRows, int64_t rows) {
    const WideLayout *layout = best(rows);
    if (last && cycles(*last, rows) <= kWorthOfFunction * cycles(*layout, rows)) {
      choices.back().mostRows = mostRows;
      return;
    }
    choices.push_back({mostRows, layout->tile});
    last = layout;
  };
  const int64_t groups = problem.kind == LinearKind::Grouped ? problem.matrices : 1;
  for (int64_t rows : kSteps)
    add(rows * groups, rows * groups);
  add(0, kManyRows * groups);
  return choices;
}

} // namespace epigraph::cuda
