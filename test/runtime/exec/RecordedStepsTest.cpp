#include "runtime/exec/RecordedSteps.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/runtime/exec/DeferredDriver.h"

namespace epigraph {
namespace {

using testing::ElementsAre;

StepExtent decodeOf(int64_t tokens) { return {tokens, tokens, tokens, {tokens, 0, true}}; }

TEST(RecordedStepsTest, SizesWasteLittle) {
  EXPECT_THAT(recordedSizes(0), ElementsAre());
  EXPECT_THAT(recordedSizes(1), ElementsAre(1));
  EXPECT_THAT(recordedSizes(3), ElementsAre(1, 2, 3));
  EXPECT_THAT(recordedSizes(20), ElementsAre(1, 2, 4, 8, 16, 20));
  EXPECT_THAT(recordedSizes(32), ElementsAre(1, 2, 4, 8, 16, 24, 32));
  const std::vector<int64_t> sizes = recordedSizes(1024);
  EXPECT_LT(sizes.size(), 50u);
  EXPECT_EQ(sizes.back(), 1024);
  for (size_t i = 0; i + 1 < sizes.size(); ++i)
    EXPECT_LE(sizes[i + 1] - sizes[i], std::max<int64_t>(8, sizes[i] / 8)) << sizes[i];
}

TEST(RecordedStepsTest, FindsTheSmallestThatServes) {
  MemoryPool pool(0);
  DeferredWork work;
  DeferredDriver driver(pool, work);
  std::vector<int64_t> recorded;
  RecordedSteps steps;
  const absl::Status status = steps.record(
      driver, {decodeOf(1), decodeOf(4)},
      [&](const StepExtent &extent) {
        recorded.push_back(extent.tokens);
        return absl::OkStatus();
      },
      nullptr);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(recorded, ElementsAre(1, 4));
  const RecordedWork *one = steps.find(decodeOf(1)), *four = steps.find(decodeOf(4));
  ASSERT_TRUE(one && four);
  EXPECT_NE(one, four);
  EXPECT_EQ(steps.find(decodeOf(2)), four);
  EXPECT_EQ(steps.find(decodeOf(2), true), nullptr);
  EXPECT_EQ(steps.find(decodeOf(4), true), four);
  EXPECT_EQ(steps.find(decodeOf(5)), nullptr);
  EXPECT_EQ(steps.find(decodeOf(0)), nullptr);
  StepExtent extent = decodeOf(1);
  extent.outputs = 2; // the same logits twice
  EXPECT_EQ(steps.find(extent), four);
  extent.bounds.oneTokenEach = false;
  EXPECT_EQ(steps.find(extent), nullptr);
}

TEST(RecordedStepsTest, EndsARecordingThatFails) {
  MemoryPool pool(0);
  DeferredWork work;
  DeferredDriver driver(pool, work);
  RecordedSteps steps;
  const absl::Status status = steps.record(
      driver, {decodeOf(1)}, [](const StepExtent &) { return absl::InternalError("no"); }, nullptr);
  EXPECT_EQ(status.message(), "no");
  EXPECT_EQ(work.recordings, 1);
  EXPECT_EQ(steps.find(decodeOf(1)), nullptr);
}

} // namespace
} // namespace epigraph
