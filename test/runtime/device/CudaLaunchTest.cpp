// The sizes of launches on a GPU, which need none to be worked out.
#include "runtime/device/CudaLaunch.h"

#include "gtest/gtest.h"

namespace epigraph {
namespace {

constexpr int kMultiprocessors = 132;

TEST(CudaLaunch, CountsBlocksOfRows) {
  DeviceLaunch launch;
  launch.rowTile = 64;
  launch.columnTiles = 3;
  for (const auto &[rows, blocks] :
       {std::pair<int64_t, int64_t>(0, 0), {1, 3}, {64, 3}, {65, 6}, {4096, 192}})
    EXPECT_EQ(blocksOf(launch, rows, {}, kMultiprocessors), blocks) << rows;
  launch.rowTile = 0;
  EXPECT_EQ(blocksOf(launch, 4096, {}, kMultiprocessors), 3);
}

TEST(CudaLaunch, CountsBlocksOfItems) {
  DeviceLaunch launch;
  launch.columnTiles = 2;
  StepBounds bounds;
  bounds.tokenItems = 5;
  bounds.tileItems = 7;
  launch.grid = DeviceGrid::TokenItems;
  EXPECT_EQ(blocksOf(launch, 100, bounds, kMultiprocessors), 10);
  launch.grid = DeviceGrid::TileItems;
  EXPECT_EQ(blocksOf(launch, 100, bounds, kMultiprocessors), 14);
}

TEST(CudaLaunch, LoopingKernelsTakeOneWave) {
  DeviceLaunch launch;
  launch.rowTile = 1;
  launch.blocksPerCore = 2;
  EXPECT_EQ(blocksOf(launch, 200, {}, kMultiprocessors), 200);
  EXPECT_EQ(blocksOf(launch, 5000, {}, kMultiprocessors), 264);
  // Clusters are whole: 132 is no multiple of 8.
  launch.blocksPerCore = 1;
  launch.cluster = 8;
  launch.columnTiles = 8;
  EXPECT_EQ(blocksOf(launch, 5000, {}, kMultiprocessors), 128);
  EXPECT_EQ(blocksOf(launch, 5000, {}, 4), 8);
}

TEST(CudaLaunch, TakesTheFirstVariantThatFits) {
  std::vector<DeviceVariant> variants(3);
  variants[0].mostRows = 8;
  variants[0].oneTokenEach = true;
  variants[1].mostRows = 16;
  StepBounds decode;
  decode.oneTokenEach = true;
  EXPECT_EQ(chooseVariant(variants, 8, decode), &variants[0]);
  EXPECT_EQ(chooseVariant(variants, 8, {}), &variants[1]);
  EXPECT_EQ(chooseVariant(variants, 16, decode), &variants[1]);
  EXPECT_EQ(chooseVariant(variants, 17, decode), &variants[2]);
  variants.pop_back();
  EXPECT_EQ(chooseVariant(variants, 17, decode), nullptr);
}

} // namespace
} // namespace epigraph
