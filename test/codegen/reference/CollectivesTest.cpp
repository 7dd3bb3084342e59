// What ranks exchange, on 1, 2 and 4 threads, against the tables that dialects/ep/EpOps.td gives.
#include <thread>

#include "absl/status/status.h"

#include "codegen/reference/Collectives.h"
#include "codegen/reference/Experts.h"
#include "codegen/reference/Structure.h"
#include "test/codegen/reference/Samples.h"

namespace epigraph::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Runs `body(member)` on each of `ranks` threads.
template <typename Body>
void onRanks(int ranks, const Body &body,
             std::chrono::milliseconds deadline = std::chrono::seconds(20)) {
  LocalGroup group(ranks, {.deadline = deadline, .spin = false});
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&group, &body, rank] { body(Member{group, rank, "layer"}); });
}

/// Rows of one number each.
Tensor column(std::vector<float> values) {
  auto rows = static_cast<int64_t>(values.size());
  return Tensor({rows, 1}, std::move(values));
}

TEST(Collectives, GatherWhatSharedOut) {
  for (int ranks : {1, 2, 4})
    for (int64_t rows : {0, 1, 3, 4, 9}) { // fewer rows than ranks, and shares that differ
      Tensor x = sample({rows, 2, 3}, 1);
      onRanks(ranks, [&](const Member &member) {
        expectSame(*allGather(shardRows(x, member.rank, member.ranks()), member), x);
      });
    }
}

TEST(Collectives, SharesAreAsTheTableSays) {
  Tensor x = column({1, 2, 3});
  EXPECT_THAT(shardRows(x, 0, 2).floatVector(), ElementsAre(1));
  EXPECT_THAT(shardRows(x, 1, 2).floatVector(), ElementsAre(2, 3));
}

TEST(Collectives, GatherTheColumnsThatWereSharedOut) {
  for (int ranks : {1, 2, 4})
    for (int64_t rows : {0, 1, 5}) {
      Tensor x = sample({rows, 12}, 1);
      onRanks(ranks, [&](const Member &member) {
        Tensor part = shardColumns(x, member.rank, member.ranks());
        EXPECT_EQ(part.dim(1), 12 / ranks);
        expectSame(*gatherColumns(part, member), x);
      });
    }
}

TEST(Collectives, AddUpOnAllRanks) {
  for (int ranks : {1, 2, 4})
    onRanks(ranks, [&](const Member &member) {
      float mine = static_cast<float>(member.rank + 1), total = 0;
      for (int rank = 0; rank < ranks; ++rank)
        total += static_cast<float>(rank + 1);
      Tensor x = column({mine, 10 * mine, 100 * mine});
      Tensor sum = column({total, 10 * total, 100 * total});
      expectSame(*allReduce(x, member), sum);
      expectSame(*reduceScatter(x, member), shardRows(sum, member.rank, ranks));
    });
}

TEST(Collectives, SumsAreAddedInTheOrderOfRanks) {
  // 1 is lost beside 1e8 in float32, unless the large ones cancel first.
  std::vector<float> values = {1e8f, 1.f, -1e8f, 1.f};
  onRanks(4, [&](const Member &member) {
    EXPECT_THAT(
        allReduce(column({values[static_cast<size_t>(member.rank)]}), member)->floatVector(),
        ElementsAre(1.f));
  });
}

/// The example of ep.dispatch: a:2 b:0 on rank 0, c:3 d:1 on rank 1.
TEST(Exchange, FollowsTheTableOfDispatch) {
  onRanks(2, [](const Member &member) {
    bool first = member.rank == 0;
    Tensor x = first ? column({'a', 'b'}) : column({'c', 'd'});
    Tensor ids({2, 1}, first ? std::vector<int32_t>{2, 0} : std::vector<int32_t>{3, 1});
    Permutation sorted = *permute(x, ids, 4);
    Scattered received = *scatterExperts(sorted.rows, sorted.counts, member);
    expectSame(received.rows, first ? column({'b', 'd'}) : column({'a', 'c'}));
    EXPECT_THAT(received.counts.intVector(), ElementsAre(1, 1));
    expectSame(*gatherExperts(received.rows, sorted.counts, member), sorted.rows);
  });
}

/// Each rank's tokens choose experts by `choose(rank, token, j)`; the experts' owners multiply by
/// (expert + 1), and the sum comes back.
template <typename Choose> void checkRoundTrip(int ranks, const Choose &choose) {
  constexpr int32_t experts = 8, topK = 2;
  onRanks(ranks, [&](const Member &member) {
    int64_t tokens = member.rank == 1 ? 0 : 5 + member.rank; // rank 1 has nothing to send
    Tensor x = sample({tokens, 3}, member.rank), weights = sample({tokens, topK}, 10 + member.rank);
    Tensor ids = Tensor::ints({tokens, topK});
    for (int32_t i = 0; i < tokens * topK; ++i)
      ids.intData()[i] = choose(member.rank, i / topK, i % topK) % experts;
    Permutation sorted = *permute(x, ids, experts);
    Scattered received = *scatterExperts(sorted.rows, sorted.counts, member);
    int64_t local = experts / ranks, row = 0;
    for (int64_t e = 0; e < local; ++e)
      for (int32_t i = 0; i < received.counts.intData()[e]; ++i, ++row)
        for (int64_t k = 0; k < 3; ++k)
          received.rows.row(row)[k] *= static_cast<float>(member.rank * local + e + 1);
    EXPECT_EQ(row, received.rows.rows());
    Tensor back = *gatherExperts(received.rows, sorted.counts, member);
    Tensor found = *unpermute(back, sorted.slots, weights);
    std::vector<double> expected;
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t k = 0; k < 3; ++k) {
        double sum = 0;
        for (int64_t j = 0; j < topK; ++j)
          sum += static_cast<double>(weights.row(t)[j]) * x.row(t)[k] * (ids.intRow(t)[j] + 1);
        expected.push_back(sum);
      }
    expectFloats(found, {tokens, 3}, expected, 1e-5);
  });
}

TEST(Exchange, BringsEveryRowBack) {
  for (int ranks : {1, 2, 4, 8})
    checkRoundTrip(ranks, [](int rank, int token, int j) { return 3 * rank + 5 * token + 7 * j; });
}

TEST(Exchange, OneExpertMayGetAllAndTheOthersNothing) {
  for (int ranks : {2, 4})
    checkRoundTrip(ranks, [](int, int, int) { return 6; });
}

TEST(Exchange, CountsThatAreNotTheRowsAreRefusedOnAllRanks) {
  onRanks(2, [](const Member &member) {
    Tensor counts = ints({2}, {1, member.rank == 0 ? 0 : 4});
    absl::Status status = scatterExperts(column({1}), counts, member).status();
    EXPECT_THAT(status.ToString(), HasSubstr("rank 1 offers 1 rows, its counts say 5"));
  });
}

TEST(Exchange, NobodyWaitsForeverForALateRank) {
  onRanks(
      3,
      [](const Member &member) {
        if (member.rank == 2)
          return; // never comes
        absl::Status status = allGather(column({1}), member).status();
        EXPECT_THAT(status.ToString(), HasSubstr("rank 2"));
      },
      std::chrono::milliseconds(100));
}

} // namespace
} // namespace epigraph::reference
