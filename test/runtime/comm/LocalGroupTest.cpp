// What happens when ranks do not all do their part.
#include "runtime/comm/LocalGroup.h"

#include "runtime/base/Status.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/comm/RunRanks.h"

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

class LocalGroupTest : public testing::TestWithParam<bool> {}; // whether waits spin first
INSTANTIATE_TEST_SUITE_P(Spin, LocalGroupTest, testing::Bool());

TEST_P(LocalGroupTest, ManyMeetings) {
  LocalGroup group(4, {std::chrono::seconds(20), GetParam()});
  // Plain memory that ranks write in turns: only the barrier orders them.
  int64_t counter = 0;
  const std::vector<absl::Status> outcomes = runRanks(group, [&](LocalCommunicator &self) {
    for (int round = 0; round < 2000; ++round) {
      if (round % 4 == self.rank())
        ++counter;
      EPIGRAPH_RETURN_IF_ERROR(self.barrier("here"));
    }
    return absl::OkStatus();
  });
  for (const absl::Status &outcome : outcomes)
    EXPECT_TRUE(outcome.ok()) << outcome;
  EXPECT_EQ(counter, 2000);
}

TEST_P(LocalGroupTest, ALateRankIsNamed) {
  LocalGroup group(4, {milliseconds(50), GetParam()});
  const std::vector<absl::Status> outcomes = runRanks(group, [&](LocalCommunicator &self) {
    return self.rank() == 2 ? absl::OkStatus() : self.barrier("model.layers.1.mlp");
  });
  int timedOut = 0;
  for (const int rank : {0, 1, 3}) {
    const absl::Status &outcome = outcomes[static_cast<size_t>(rank)];
    EXPECT_THAT(
        std::string(outcome.message()),
        testing::HasSubstr(absl::StrCat("rank ", rank, ": barrier (model.layers.1.mlp): ")));
    EXPECT_THAT(std::string(outcome.message()),
                testing::HasSubstr("rank 2 did not arrive within 0.05 s"));
    timedOut += absl::IsDeadlineExceeded(outcome);
    EXPECT_TRUE(absl::IsDeadlineExceeded(outcome) || absl::IsAborted(outcome)) << outcome;
  }
  EXPECT_GE(timedOut, 1);
}

TEST_P(LocalGroupTest, AFailureEndsTheWaitsOfAllOthersAtOnce) {
  LocalGroup group(4, {std::chrono::seconds(60), GetParam()});
  const Clock::time_point start = Clock::now();
  const std::vector<absl::Status> outcomes = runRanks(group, [&](LocalCommunicator &self) {
    if (self.rank() != 1)
      return self.barrier("here");
    std::this_thread::sleep_for(milliseconds(20));
    const absl::Status cause = absl::DataLossError("disk on fire");
    self.abort(cause);
    return cause;
  });
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  for (const size_t rank : {0, 2, 3})
    expectError(outcomes[rank], absl::StatusCode::kAborted,
                "barrier (here): given up, because rank 1 failed: disk on fire");
}

TEST_P(LocalGroupTest, AFailedGroupFailsUntilItIsReset) {
  LocalGroup group(2, {std::chrono::seconds(20), GetParam()});
  group.abort(0, absl::DataLossError("first"));
  group.abort(1, absl::DataLossError("second"));
  const auto meet = [&](LocalCommunicator &self) { return self.barrier("here"); };
  // A rank that comes alone must not wait for one that will never come.
  LocalCommunicator alone(group, 1);
  expectError(meet(alone), absl::StatusCode::kAborted, "rank 0 failed: first");
  group.reset();
  for (const absl::Status &outcome : runRanks(group, meet))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

TEST_P(LocalGroupTest, RanksInDifferentOperations) {
  LocalGroup group(2, {std::chrono::seconds(20), GetParam()});
  const std::vector<absl::Status> outcomes = runRanks(group, [&](LocalCommunicator &self) {
    return self.rank() == 0 ? self.barrier("here") : self.allGather({}, {}, "there");
  });
  for (const absl::Status &outcome : outcomes)
    EXPECT_TRUE(absl::IsInternal(outcome) || absl::IsAborted(outcome)) << outcome;
  EXPECT_THAT(std::string(outcomes[0].message()), testing::HasSubstr("all_gather"));
}

} // namespace
} // namespace epigraph
