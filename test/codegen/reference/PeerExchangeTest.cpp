// Dispatch and combine through the memory of peers, against the exchange that returns every row.
#include <thread>

#include "codegen/reference/Experts.h"
#include "codegen/reference/PeerExchange.h"
#include "test/codegen/reference/Samples.h"

namespace epigraph::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kExperts = 8, kTopK = 2, kHidden = 3, kCapacity = 7;

/// Runs `body(member)` on each of `ranks` threads.
template <typename Body> void onRanks(int ranks, const Body &body) {
  LocalGroup group(ranks, {.deadline = std::chrono::seconds(20), .spin = false});
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&group, &body, rank] { body(Member{group, rank, "layer"}); });
}

/// Tokens of one rank; rank 1 has none.
struct Tokens {
  Tensor x, ids, weights;

  explicit Tokens(int rank) {
    const int64_t count = rank == 1 ? 0 : 5 + rank % 2;
    x = sample({count, kHidden}, rank);
    weights = sample({count, kTopK}, 10 + rank);
    ids = Tensor::ints({count, kTopK});
    for (int64_t i = 0; i < ids.elements(); ++i)
      ids.intData()[i] =
          static_cast<int32_t>((3 * rank + 5 * (i / kTopK) + 7 * (i % kTopK)) % kExperts);
  }
};

TEST(PeerExchange, RowsArriveAsAScatterBringsThem) {
  for (int ranks : {1, 2, 4})
    onRanks(ranks, [&](const Member &member) {
      Tokens tokens(member.rank);
      PeerExchange exchange;
      exchange.send(tokens.x, tokens.ids, tokens.weights, sample({tokens.x.rows(), 1}, 20));
      ReceivedTokens got = *exchange.receive(kExperts / ranks, kCapacity, member);
      Permutation sorted = *permute(tokens.x, tokens.ids, kExperts);
      Scattered want = *scatterExperts(sorted.rows, sorted.counts, member);
      expectSame(got.rows, want.rows);
      expectSame(got.counts, want.counts);
      EXPECT_THAT(got.received.intVector(), ElementsAre(want.rows.rows()));
      EXPECT_EQ(got.scales.rows(), want.rows.rows());
      EXPECT_EQ(got.places.shape(), (Shape{ranks * kCapacity, kTopK}));
    });
}

TEST(PeerExchange, SumsComeBackToTheTokens) {
  for (int ranks : {1, 2, 4})
    onRanks(ranks, [&](const Member &member) {
      Tokens tokens(member.rank);
      PeerExchange exchange;
      exchange.send(tokens.x, tokens.ids, tokens.weights, Tensor());
      ReceivedTokens got = *exchange.receive(kExperts / ranks, kCapacity, member);
      exchange.sendSums(got.rows, got.places, got.weights, /*round=*/false);
      Tensor found = *exchange.receiveSums(got.rows, got.places, tokens.weights, kCapacity, member);
      std::vector<double> expected; // experts give back what they get
      for (int64_t t = 0; t < tokens.x.rows(); ++t)
        for (int64_t k = 0; k < kHidden; ++k) {
          double sum = 0;
          for (int64_t j = 0; j < kTopK; ++j)
            sum += static_cast<double>(tokens.weights.row(t)[j]) * tokens.x.row(t)[k];
          expected.push_back(sum);
        }
      expectFloats(found, {tokens.x.rows(), kHidden}, expected, 1e-5);
    });
}

TEST(PeerExchange, MoreRowsThanTheCapacityAreRefusedOnAllRanks) {
  onRanks(2, [](const Member &member) {
    Tokens tokens(member.rank);
    PeerExchange exchange;
    exchange.send(tokens.x, tokens.ids, tokens.weights, Tensor());
    absl::Status status = exchange.receive(kExperts / 2, /*capacity=*/4, member).status();
    EXPECT_THAT(status.ToString(), HasSubstr("rank 0 sends 5 rows, over the capacity of 4"));
  });
}

} // namespace
} // namespace epigraph::reference
