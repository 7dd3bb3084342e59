// Collectives that have started and not finished: order, what ranks may do meanwhile, and failures
// between start and finish.
#include <random>

#include "runtime/base/Status.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/comm/RunRanks.h"

namespace epigraph {
namespace {

using std::chrono::milliseconds;

using Values = std::vector<int32_t>;

absl::Span<const uint8_t> bytesOf(const Values &values) {
  return {reinterpret_cast<const uint8_t *>(values.data()), values.size() * sizeof(int32_t)};
}
absl::Span<uint8_t> bytesOf(Values &values) {
  return {reinterpret_cast<uint8_t *>(values.data()), values.size() * sizeof(int32_t)};
}

class UnderWay : public testing::TestWithParam<int> {
protected:
  LocalGroup group{GetParam(), {std::chrono::seconds(20), false}};
};

INSTANTIATE_TEST_SUITE_P(Ranks, UnderWay, testing::Values(1, 2, 4));

/// An all_gather of one number of each rank, started and finished apart.
struct Gather {
  Gather(int32_t value, int ranks) : source{value}, result(static_cast<size_t>(ranks), -1) {}
  AllGather collective() { return {bytesOf(std::as_const(source)), bytesOf(result)}; }
  Values source, result;
};

TEST_P(UnderWay, StartingWaitsForNobody) {
  // Rank 0 starts everything that there is room for before any other rank does.
  std::atomic<bool> allStarted{false};
  for (const absl::Status &outcome : runRanks(group, [&](LocalCommunicator &self) {
         std::vector<std::unique_ptr<Gather>> gathers;
         while (self.rank() != 0 && !allStarted)
           std::this_thread::yield();
         for (size_t i = 0; i < Communicator::kMostUnderWay; ++i) {
           gathers.push_back(
               std::make_unique<Gather>(static_cast<int32_t>(i) * 10 + self.rank(), self.size()));
           EPIGRAPH_RETURN_IF_ERROR(self.start(gathers.back()->collective(), "here"));
         }
         EXPECT_EQ(self.underWay(), Communicator::kMostUnderWay);
         allStarted = true;
         for (size_t i = 0; i < gathers.size(); ++i) {
           EPIGRAPH_RETURN_IF_ERROR(self.finishOldest());
           for (int rank = 0; rank < self.size(); ++rank)
             EXPECT_EQ(gathers[i]->result[static_cast<size_t>(rank)],
                       static_cast<int32_t>(i) * 10 + rank);
         }
         EXPECT_EQ(self.underWay(), 0u);
         return absl::OkStatus();
       }))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

/// Ranks start and finish at random moments of their own; sources are spoilt as soon as they may
/// be.
TEST_P(UnderWay, RanksKeepTheirOwnPace) {
  constexpr int32_t kOperations = 500;
  for (const absl::Status &outcome : runRanks(group, [&](LocalCommunicator &self) {
         std::mt19937 random(static_cast<unsigned>(self.rank()));
         std::vector<std::unique_ptr<Gather>> gathers;
         size_t finished = 0;
         const auto finish = [&]() -> absl::Status {
           Gather &oldest = *gathers[finished];
           EPIGRAPH_RETURN_IF_ERROR(self.finishOldest());
           for (int rank = 0; rank < self.size(); ++rank)
             EXPECT_EQ(oldest.result[static_cast<size_t>(rank)],
                       static_cast<int32_t>(finished) * 10 + rank);
           oldest.source[0] = -2;
           ++finished;
           return absl::OkStatus();
         };
         while (static_cast<int32_t>(gathers.size()) < kOperations) {
           if (self.underWay() == Communicator::kMostUnderWay ||
               (self.underWay() != 0 && random() % 2)) {
             EPIGRAPH_RETURN_IF_ERROR(finish());
             continue;
           }
           gathers.push_back(std::make_unique<Gather>(
               static_cast<int32_t>(gathers.size()) * 10 + self.rank(), self.size()));
           EPIGRAPH_RETURN_IF_ERROR(self.start(gathers.back()->collective(), "here"));
         }
         while (self.underWay() != 0)
           EPIGRAPH_RETURN_IF_ERROR(finish());
         return absl::OkStatus();
       }))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

TEST_P(UnderWay, MoreThanThereIsRoomForIsRefused) {
  for (const absl::Status &outcome : runRanks(group, [&](LocalCommunicator &self) {
         for (size_t i = 0; i < Communicator::kMostUnderWay; ++i)
           EPIGRAPH_RETURN_IF_ERROR(self.start(Barrier(), "here"));
         return self.start(Barrier(), "there");
       }))
    expectError(outcome, absl::StatusCode::kInternal, "barrier (there): 16 operations");
}

TEST_P(UnderWay, ABlockingOperationFinishesAllBeforeIt) {
  for (const absl::Status &outcome : runRanks(group, [&](LocalCommunicator &self) {
         Gather gather(self.rank(), self.size());
         EPIGRAPH_RETURN_IF_ERROR(self.start(gather.collective(), "here"));
         EPIGRAPH_RETURN_IF_ERROR(self.barrier("here"));
         EXPECT_EQ(self.underWay(), 0u);
         EXPECT_EQ(gather.result.back(), self.size() - 1);
         return absl::OkStatus();
       }))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

/// Rows received are known when the exchange has finished, not before.
TEST_P(UnderWay, ReceivedRowsAreKnownAtTheEnd) {
  const std::vector<uint16_t> owner(1, 0);
  for (const absl::Status &outcome : runRanks(group, [&](LocalCommunicator &self) {
         const Values source(3, self.rank());
         const Values counts{3};
         Values result(static_cast<size_t>(3 * self.size())), resultCounts(1);
         int64_t received = -1;
         EPIGRAPH_RETURN_IF_ERROR(self.start(
             ScatterExperts{{owner, counts, sizeof(int32_t), bytesOf(source), bytesOf(result)},
                            absl::MakeSpan(resultCounts),
                            &received},
             "here"));
         EXPECT_EQ(received, -1);
         EPIGRAPH_RETURN_IF_ERROR(self.finishOldest());
         EXPECT_EQ(received, self.rank() == 0 ? 3 * self.size() : 0);
         return absl::OkStatus();
       }))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

TEST(UnderWayFailure, ARankThatDiesAfterStartingIsNamed) {
  LocalGroup group(3, {std::chrono::seconds(60), false});
  const auto start = std::chrono::steady_clock::now();
  const std::vector<absl::Status> outcomes = runRanks(group, [&](LocalCommunicator &self) {
    Gather gather(self.rank(), self.size());
    EPIGRAPH_RETURN_IF_ERROR(self.start(gather.collective(), "model.layers.3.mlp"));
    if (self.rank() != 1)
      return self.finishOldest();
    std::this_thread::sleep_for(milliseconds(20));
    const absl::Status cause = absl::DataLossError("disk on fire");
    self.abort(cause);
    EXPECT_EQ(self.underWay(), 0u);
    return cause;
  });
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  for (const size_t rank : {0, 2})
    expectError(outcomes[rank], absl::StatusCode::kAborted,
                absl::StrCat("rank ", rank,
                             ": all_gather (model.layers.3.mlp): given up, because rank 1 failed: "
                             "disk on fire"));
}

TEST(UnderWayFailure, ARankThatNeverFinishesIsNamed) {
  LocalGroup group(2, {milliseconds(50), false});
  const std::vector<absl::Status> outcomes = runRanks(group, [&](LocalCommunicator &self) {
    Gather gather(self.rank(), self.size());
    EPIGRAPH_RETURN_IF_ERROR(self.start(gather.collective(), "model.layers.3.mlp"));
    if (self.rank() == 0)
      return self.finishOldest();
    std::this_thread::sleep_for(milliseconds(200)); // its memory must outlive rank 0's wait
    return absl::OkStatus();
  });
  expectError(outcomes[0], absl::StatusCode::kDeadlineExceeded,
              "rank 0: all_gather (model.layers.3.mlp): rank 1 did not arrive within 0.05 s");
}

TEST(UnderWayFailure, DifferentOperationsAreFoundAtTheEnd) {
  LocalGroup group(2, {std::chrono::seconds(20), false});
  for (const absl::Status &outcome : runRanks(group, [&](LocalCommunicator &self) {
         Gather gather(self.rank(), self.size());
         EXPECT_TRUE((self.rank() ? self.start(gather.collective(), "here")
                                  : self.start(Barrier(), "there"))
                         .ok());
         return self.finishOldest();
       }))
    EXPECT_TRUE(absl::IsInternal(outcome) || absl::IsAborted(outcome)) << outcome;
}

TEST(UnderWayFailure, WaitingForNothingIsAnError) {
  LocalGroup group(1, {std::chrono::seconds(20), false});
  LocalCommunicator alone(group, 0);
  expectError(alone.finishOldest(), absl::StatusCode::kInternal, "nothing is under way");
}

} // namespace
} // namespace epigraph
