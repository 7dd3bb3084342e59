// Collectives on 1, 2, 4 and 8 ranks against plain loops.
#include <cmath>
#include <random>

#include "runtime/base/BFloat16.h"
#include "runtime/base/Status.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/comm/RunRanks.h"

namespace epigraph {
namespace {

template <typename T> absl::Span<const uint8_t> bytesOf(const std::vector<T> &values) {
  return {reinterpret_cast<const uint8_t *>(values.data()), values.size() * sizeof(T)};
}
template <typename T> absl::Span<uint8_t> bytesOf(std::vector<T> &values) {
  return {reinterpret_cast<uint8_t *>(values.data()), values.size() * sizeof(T)};
}

class Collectives : public testing::TestWithParam<int> {
protected:
  void expectAllOk(const std::vector<absl::Status> &outcomes) {
    for (const absl::Status &outcome : outcomes)
      EXPECT_TRUE(outcome.ok()) << outcome;
  }
  LocalGroup group{GetParam(), {std::chrono::seconds(20), false}};
};

INSTANTIATE_TEST_SUITE_P(Ranks, Collectives, testing::Values(1, 2, 4, 8));

TEST_P(Collectives, ShareOfRowsCoversAllOfThem) {
  for (const int64_t rows : {0, 1, 3, 8, 1001}) {
    int64_t next = 0;
    for (int rank = 0; rank < GetParam(); ++rank) {
      const RowShare share = shareOf(rows, rank, GetParam());
      EXPECT_EQ(share.begin, next);
      EXPECT_LE(share.end - share.begin, rows / GetParam() + 1);
      next = share.end;
    }
    EXPECT_EQ(next, rows);
  }
}

/// Shares of 0, 1, 3, 8 and 1001 rows: most ranks have none of the first.
TEST_P(Collectives, AllGatherPutsSharesTogether) {
  for (const int64_t rows : {0, 1, 3, 8, 1001}) {
    std::vector<int32_t> expected(static_cast<size_t>(rows) * 3);
    std::iota(expected.begin(), expected.end(), 7);
    expectAllOk(runRanks(group, [&](LocalCommunicator &self) {
      const RowShare share = shareOf(rows, self.rank(), self.size());
      const std::vector<int32_t> source(expected.begin() + share.begin * 3,
                                        expected.begin() + share.end * 3);
      std::vector<int32_t> result(expected.size(), -1);
      EPIGRAPH_RETURN_IF_ERROR(self.allGather(bytesOf(source), bytesOf(result), "here"));
      EXPECT_EQ(result, expected);
      return absl::OkStatus();
    }));
  }
}

/// Rows of 3 numbers, of which each rank has its own.
TEST_P(Collectives, GatherColumnsPutsRowsTogether) {
  for (const int64_t rows : {0, 1, 37}) {
    std::vector<int32_t> expected;
    for (int64_t row = 0; row < rows; ++row)
      for (int rank = 0; rank < GetParam(); ++rank)
        for (int32_t column = 0; column < 3; ++column)
          expected.push_back(static_cast<int32_t>(row) * 100 + rank * 10 + column);
    expectAllOk(runRanks(group, [&](LocalCommunicator &self) {
      std::vector<int32_t> source;
      for (int64_t row = 0; row < rows; ++row)
        for (int32_t column = 0; column < 3; ++column)
          source.push_back(static_cast<int32_t>(row) * 100 + self.rank() * 10 + column);
      std::vector<int32_t> result(expected.size(), -1);
      EPIGRAPH_RETURN_IF_ERROR(
          self.gatherColumns(bytesOf(source), 3 * sizeof(int32_t), bytesOf(result), "here"));
      EXPECT_EQ(result, expected);
      return absl::OkStatus();
    }));
  }
}

TEST_P(Collectives, SumsAreInRankOrder) {
  constexpr int64_t kRows = 37;
  constexpr size_t kWidth = 61; // more than one block of sums, and not a multiple of it
  std::vector<std::vector<float>> sources;
  std::mt19937 random(1);
  for (int rank = 0; rank < GetParam(); ++rank) {
    sources.emplace_back(kRows * kWidth);
    // Sizes far apart: another order of addition gives other bits.
    for (float &value : sources.back())
      value = std::ldexp(static_cast<float>(random() % 1000) - 500,
                         static_cast<int>(random() % 40) - 20);
  }
  std::vector<float> expected = sources[0];
  for (size_t rank = 1; rank < sources.size(); ++rank)
    for (size_t i = 0; i < expected.size(); ++i)
      expected[i] += sources[rank][i];

  expectAllOk(runRanks(group, [&](LocalCommunicator &self) {
    const std::vector<float> &source = sources[static_cast<size_t>(self.rank())];
    std::vector<float> all(source.size());
    EPIGRAPH_RETURN_IF_ERROR(
        self.allReduce(SumType::Float32, bytesOf(source), bytesOf(all), "here"));
    EXPECT_EQ(all, expected);
    const RowShare share = shareOf(kRows, self.rank(), self.size());
    std::vector<float> mine(static_cast<size_t>(share.end - share.begin) * kWidth);
    EPIGRAPH_RETURN_IF_ERROR(self.reduceScatter(SumType::Float32, bytesOf(source), kRows,
                                                kWidth * sizeof(float), bytesOf(mine), "here"));
    EXPECT_EQ(mine, std::vector<float>(expected.begin() + share.begin * kWidth,
                                       expected.begin() + share.end * kWidth));
    return absl::OkStatus();
  }));
}

TEST_P(Collectives, BFloat16IsRoundedOnce) {
  // 1 + 8 * 2^-9 in steps would be lost one by one: each is half a unit in the last place of 1.
  const float small = std::ldexp(1.0f, -9);
  const float sum = 1 + small * static_cast<float>(GetParam() - 1);
  expectAllOk(runRanks(group, [&](LocalCommunicator &self) {
    const std::vector<uint16_t> source(5, bfloat16OfFloat(self.rank() == 0 ? 1.0f : small));
    std::vector<uint16_t> result(5);
    EPIGRAPH_RETURN_IF_ERROR(
        self.allReduce(SumType::BFloat16, bytesOf(source), bytesOf(result), "here"));
    EXPECT_EQ(result, std::vector<uint16_t>(5, bfloat16OfFloat(sum)));
    return absl::OkStatus();
  }));
}

TEST_P(Collectives, DifferentOperationsFollowEachOther) {
  expectAllOk(runRanks(group, [&](LocalCommunicator &self) {
    for (int round = 0; round < 200; ++round) {
      EPIGRAPH_RETURN_IF_ERROR(self.barrier("here"));
      EPIGRAPH_RETURN_IF_ERROR(self.allGather({}, {}, "here"));
    }
    return absl::OkStatus();
  }));
}

TEST_P(Collectives, SumsOfNothing) {
  expectAllOk(runRanks(group, [&](LocalCommunicator &self) {
    EPIGRAPH_RETURN_IF_ERROR(self.allReduce(SumType::Float32, {}, {}, "here"));
    EPIGRAPH_RETURN_IF_ERROR(self.barrier("here"));
    return self.reduceScatter(SumType::BFloat16, {}, 0, 8, {}, "here");
  }));
}

TEST_P(Collectives, ResultsOfTheWrongSizeAreRefused) {
  for (const absl::Status &outcome : runRanks(group, [&](LocalCommunicator &self) {
         const std::vector<float> source(4);
         std::vector<float> result(3);
         return self.allGather(bytesOf(source), bytesOf(result), "here");
       }))
    EXPECT_FALSE(outcome.ok());
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(floatOfBFloat16(0x3f80), 1.0f);
  EXPECT_EQ(bfloat16OfFloat(1.0f), 0x3f80);
  EXPECT_EQ(bfloat16OfFloat(1.0f + std::ldexp(1.0f, -8)), 0x3f80);     // tie, down to even
  EXPECT_EQ(bfloat16OfFloat(1.0f + 3 * std::ldexp(1.0f, -8)), 0x3f82); // tie, up to even
  EXPECT_EQ(bfloat16OfFloat(-INFINITY), 0xff80);
  EXPECT_EQ(bfloat16OfFloat(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(floatOfBFloat16(bfloat16OfFloat(NAN))));
}

} // namespace
} // namespace epigraph
