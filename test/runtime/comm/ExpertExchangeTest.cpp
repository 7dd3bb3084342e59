// Expert rows there and back on 1, 2, 4 and 8 ranks. A row carries who sent it, for which expert,
// and which of those it is, so that what arrives says where it came from.
#include <random>

#include "runtime/base/Status.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/comm/RunRanks.h"

namespace epigraph {
namespace {

struct Row {
  int32_t source, expert, index;
  bool operator==(const Row &) const = default;
};

absl::Span<const uint8_t> bytesOf(const std::vector<Row> &rows) {
  return {reinterpret_cast<const uint8_t *>(rows.data()), rows.size() * sizeof(Row)};
}
absl::Span<uint8_t> bytesOf(std::vector<Row> &rows) {
  return {reinterpret_cast<uint8_t *>(rows.data()), rows.size() * sizeof(Row)};
}

/// counts[rank][expert].
using Counts = std::vector<std::vector<int32_t>>;

std::vector<Row> rowsFrom(int32_t source, const std::vector<int32_t> &counts) {
  std::vector<Row> rows;
  for (int32_t expert = 0; expert < static_cast<int32_t>(counts.size()); ++expert)
    for (int32_t i = 0; i < counts[static_cast<size_t>(expert)]; ++i)
      rows.push_back({source, expert, i});
  return rows;
}

/// What `rank` is to receive: (local expert, source), by plain loops.
std::vector<Row> rowsFor(int rank, const std::vector<uint16_t> &owner, const Counts &counts) {
  std::vector<Row> rows;
  for (int32_t expert = 0; expert < static_cast<int32_t>(owner.size()); ++expert)
    for (int32_t source = 0; source < static_cast<int32_t>(counts.size()); ++source)
      for (int32_t i = 0; owner[static_cast<size_t>(expert)] == rank &&
                          i < counts[static_cast<size_t>(source)][static_cast<size_t>(expert)];
           ++i)
        rows.push_back({source, expert, i});
  return rows;
}

class ExpertExchangeTest : public testing::TestWithParam<int> {
protected:
  absl::Status thereAndBack(LocalCommunicator &self, const std::vector<uint16_t> &owner,
                            const Counts &counts) {
    const std::vector<int32_t> &mine = counts[static_cast<size_t>(self.rank())];
    const std::vector<Row> sent = rowsFrom(self.rank(), mine);
    const std::vector<Row> expected = rowsFor(self.rank(), owner, counts);
    std::vector<Row> arrived(expected.size()), back(sent.size());
    const size_t experts = static_cast<size_t>(std::count(owner.begin(), owner.end(), self.rank()));
    std::vector<int32_t> arrivedCounts(experts + 1, -7);
    EPIGRAPH_ASSIGN_OR_RETURN(
        const int64_t received,
        self.scatterExperts({owner, mine, sizeof(Row), bytesOf(sent), bytesOf(arrived)},
                            absl::MakeSpan(arrivedCounts), "here"));
    EXPECT_EQ(received, static_cast<int64_t>(expected.size()));
    EXPECT_EQ(arrived, expected);

    std::vector<int32_t> expectedCounts;
    for (size_t expert = 0; expert < owner.size(); ++expert)
      if (owner[expert] == self.rank()) {
        expectedCounts.push_back(0);
        for (const std::vector<int32_t> &ofSource : counts)
          expectedCounts.back() += ofSource[expert];
      }
    expectedCounts.push_back(-7); // nothing is written beyond the local experts
    EXPECT_EQ(arrivedCounts, expectedCounts);

    EPIGRAPH_RETURN_IF_ERROR(self.gatherExperts(
        {owner, mine, sizeof(Row), bytesOf(std::as_const(arrived)), bytesOf(back)}, "here"));
    EXPECT_EQ(back, sent);
    return absl::OkStatus();
  }

  void expectThereAndBack(const std::vector<uint16_t> &owner, const Counts &counts) {
    for (const absl::Status &outcome : runRanks(
             group, [&](LocalCommunicator &self) { return thereAndBack(self, owner, counts); }))
      EXPECT_TRUE(outcome.ok()) << outcome;
  }

  std::vector<uint16_t> contiguous(size_t experts) const {
    std::vector<uint16_t> owner;
    for (size_t expert = 0; expert < experts; ++expert)
      owner.push_back(static_cast<uint16_t>(expert * static_cast<size_t>(GetParam()) / experts));
    return owner;
  }

  LocalGroup group{GetParam(), {std::chrono::seconds(20), false}};
};

INSTANTIATE_TEST_SUITE_P(Ranks, ExpertExchangeTest, testing::Values(1, 2, 4, 8));

TEST_P(ExpertExchangeTest, RandomCounts) {
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    std::vector<uint16_t> owner = contiguous(16);
    if (round % 2) // any placement, some ranks perhaps without an expert
      for (uint16_t &rank : owner)
        rank = static_cast<uint16_t>(random() % static_cast<unsigned>(GetParam()));
    Counts counts(static_cast<size_t>(GetParam()), std::vector<int32_t>(16));
    for (std::vector<int32_t> &ofRank : counts)
      for (int32_t &count : ofRank)
        count = random() % 3 ? static_cast<int32_t>(random() % 5) : 0;
    expectThereAndBack(owner, counts);
  }
}

TEST_P(ExpertExchangeTest, AllRowsToOneExpert) {
  for (const size_t expert : {0, 7}) {
    Counts counts(static_cast<size_t>(GetParam()), std::vector<int32_t>(8));
    for (std::vector<int32_t> &ofRank : counts)
      ofRank[expert] = 100;
    expectThereAndBack(contiguous(8), counts);
  }
}

TEST_P(ExpertExchangeTest, OneRankSendsEverything) {
  Counts counts(static_cast<size_t>(GetParam()), std::vector<int32_t>(8));
  counts.back() = {1, 0, 9, 0, 2, 3, 0, 4};
  expectThereAndBack(contiguous(8), counts);
}

TEST_P(ExpertExchangeTest, NoRowsAnywhere) {
  expectThereAndBack(contiguous(8),
                     Counts(static_cast<size_t>(GetParam()), std::vector<int32_t>(8)));
}

TEST_P(ExpertExchangeTest, MoreThanThereIsRoomForIsRefused) {
  const std::vector<uint16_t> owner(4, 0); // rank 0 gets it all
  std::vector<int32_t> counts(4, 2);
  const std::vector<absl::Status> outcomes = runRanks(group, [&](LocalCommunicator &self) {
    const std::vector<Row> sent = rowsFrom(self.rank(), counts);
    std::vector<Row> arrived(static_cast<size_t>(8 * self.size() - 1));
    std::vector<int32_t> arrivedCounts(4);
    return self
        .scatterExperts({owner, counts, sizeof(Row), bytesOf(sent), bytesOf(arrived)},
                        absl::MakeSpan(arrivedCounts), "model.layers.3.mlp")
        .status();
  });
  expectError(outcomes[0], absl::StatusCode::kResourceExhausted,
              "rank 0: scatter_experts (model.layers.3.mlp): ");
  for (size_t rank = 1; rank < outcomes.size(); ++rank)
    expectError(outcomes[rank], absl::StatusCode::kAborted, "rank 0 failed");
}

TEST_P(ExpertExchangeTest, WrongCountsAreRefused) {
  const std::vector<uint16_t> owner = contiguous(8);
  const std::vector<std::vector<int32_t>> wrong = {
      {0, 0, -1, 1, 0, 0, 0, 0},                // negative
      {5, 0, 0, 0, 0, 0, 0, 0},                 // more than the rows that there are
      {INT32_MAX, INT32_MAX, 0, 0, 0, 0, 0, 0}, // 32 bits overflow
      {1, 1}};                                  // too few experts
  for (const std::vector<int32_t> &counts : wrong) {
    group.reset();
    const std::vector<absl::Status> outcomes = runRanks(group, [&](LocalCommunicator &self) {
      const std::vector<int32_t> good(8);
      const std::vector<Row> sent(4);
      std::vector<Row> arrived(64);
      std::vector<int32_t> arrivedCounts(8);
      return self
          .scatterExperts({owner, self.rank() == self.size() - 1 ? counts : good, sizeof(Row),
                           bytesOf(sent), bytesOf(arrived)},
                          absl::MakeSpan(arrivedCounts), "here")
          .status();
    });
    expectError(outcomes.back(), absl::StatusCode::kInternal, "scatter_experts (here)");
    for (size_t rank = 0; rank + 1 < outcomes.size(); ++rank)
      EXPECT_TRUE(absl::IsAborted(outcomes[rank])) << outcomes[rank];
  }
}

} // namespace
} // namespace epigraph
