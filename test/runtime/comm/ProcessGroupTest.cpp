// Ranks are threads here, or processes where one has to end.
#include "runtime/comm/ProcessGroup.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/base/ErrorCode.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

/// A job that no other test has.
ProcessGroupOptions optionsOf(int rank, int ranks) {
  static std::atomic<int> jobs{0};
  static thread_local int job = 0;
  if (rank == 0)
    job = ++jobs;
  ProcessGroupOptions options;
  options.rank = rank;
  options.ranks = ranks;
  options.job = absl::StrCat("test-", getpid(), "-", job);
  options.digest = "artifact";
  options.deadline = milliseconds(5000);
  return options;
}

using Body = std::function<absl::Status(ProcessGroup &)>;

/// Joins with each of `options` in a thread of its own, and goes on with `body`.
std::vector<absl::Status> runProcesses(const std::vector<ProcessGroupOptions> &options,
                                       const Body &body) {
  std::vector<absl::Status> outcomes(options.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < options.size(); ++i)
    threads.emplace_back([&, i] {
      absl::StatusOr<std::unique_ptr<ProcessGroup>> group = ProcessGroup::join(options[i]);
      outcomes[i] = group.ok() ? body(**group) : group.status();
    });
  for (std::thread &thread : threads)
    thread.join();
  return outcomes;
}

std::vector<ProcessGroupOptions> optionsOfAll(int ranks) {
  std::vector<ProcessGroupOptions> options;
  for (int rank = 0; rank < ranks; ++rank)
    options.push_back(optionsOf(rank, ranks));
  return options;
}

absl::Status nothing(ProcessGroup &) { return absl::OkStatus(); }

TEST(ProcessGroup, GathersMessagesInTheOrderOfRanks) {
  for (const int ranks : {1, 2, 5}) {
    const auto body = [&](ProcessGroup &group) -> absl::Status {
      for (uint8_t turn = 0; turn < 20; ++turn) {
        // Of different lengths, some empty, one as long as they get.
        const auto messageOf = [&](int rank) {
          const size_t bytes =
              rank == 1 && turn == 7 ? ProcessGroup::kMostBytes : static_cast<size_t>(rank * turn);
          return std::vector<uint8_t>(bytes, static_cast<uint8_t>(16 * rank + turn));
        };
        absl::StatusOr<std::vector<std::vector<uint8_t>>> all =
            group.allGather(messageOf(group.rank()), "a test");
        if (!all.ok())
          return all.status();
        for (int rank = 0; rank < ranks; ++rank)
          EXPECT_EQ((*all)[static_cast<size_t>(rank)], messageOf(rank));
      }
      return group.barrier("the end");
    };
    for (const absl::Status &outcome : runProcesses(optionsOfAll(ranks), body))
      EXPECT_TRUE(outcome.ok()) << outcome;
  }
}

TEST(ProcessGroup, AgreesOnWhatTheFirstRankSays) {
  const auto body = [](ProcessGroup &group) -> absl::Status {
    for (const uint64_t number : {uint64_t{0}, uint64_t{7}, UINT64_MAX - 2}) {
      const absl::StatusOr<uint64_t> agreed =
          group.agreeOn(number + static_cast<uint64_t>(group.rank()), "a test");
      if (!agreed.ok())
        return agreed.status();
      EXPECT_EQ(*agreed, number);
    }
    return absl::OkStatus();
  };
  for (const int ranks : {1, 3})
    for (const absl::Status &outcome : runProcesses(optionsOfAll(ranks), body))
      EXPECT_TRUE(outcome.ok()) << outcome;
}

TEST(ProcessGroup, GivesUpWaitingForRanksThatDoNotCome) {
  ProcessGroupOptions first = optionsOf(0, 3), last = optionsOf(2, 3);
  first.deadline = last.deadline = milliseconds(200);
  const std::vector<absl::Status> outcomes = runProcesses({first, last}, nothing);
  for (const absl::Status &outcome : outcomes)
    EXPECT_EQ(errorCodeOf(outcome), ErrorCode::Deadline);
  EXPECT_THAT(outcomes[0].ToString(), HasSubstr("rank 0 of 3: 1 other rank did not join"));
  EXPECT_THAT(outcomes[1].ToString(), HasSubstr("rank 2 of 3: rank 1 did not join"));
}

TEST(ProcessGroup, RefusesOtherArtifacts) {
  std::vector<ProcessGroupOptions> options = optionsOfAll(2);
  options[1].digest = "another";
  for (const absl::Status &outcome : runProcesses(options, nothing)) {
    EXPECT_EQ(errorCodeOf(outcome), ErrorCode::DifferentArtifacts) << outcome;
    EXPECT_THAT(outcome.ToString(), HasSubstr("run different artifacts"));
  }
}

TEST(ProcessGroup, RefusesJobsOfAnotherSize) {
  std::vector<ProcessGroupOptions> options = optionsOfAll(2);
  options[1].ranks = 3;
  options[1].deadline = milliseconds(300);
  const std::vector<absl::Status> outcomes = runProcesses(options, nothing);
  EXPECT_EQ(errorCodeOf(outcomes[0]), ErrorCode::WrongWorld) << outcomes[0];
  EXPECT_EQ(errorCodeOf(outcomes[1]), ErrorCode::WrongWorld) << outcomes[1];
}

TEST(ProcessGroup, RefusesTwoOfOneRank) {
  std::vector<ProcessGroupOptions> options = optionsOfAll(2);
  options.push_back(options[1]);
  options[2].deadline = options[1].deadline = options[0].deadline = milliseconds(500);
  int refused = 0;
  for (const absl::Status &outcome : runProcesses(options, [](ProcessGroup &group) {
         std::this_thread::sleep_for(milliseconds(100)); // both are there
         return absl::OkStatus();
       }))
    refused += errorCodeOf(outcome) == ErrorCode::BadRank;
  EXPECT_EQ(refused, 1);
}

TEST(ProcessGroup, TellsWhyARankGaveUp) {
  const auto body = [](ProcessGroup &group) -> absl::Status {
    if (group.rank() == 1) {
      group.abort(absl::InternalError("no such kernel"));
      return absl::OkStatus();
    }
    return group.barrier("loading weights");
  };
  const std::vector<absl::Status> outcomes = runProcesses(optionsOfAll(3), body);
  EXPECT_TRUE(absl::IsAborted(outcomes[0]));
  EXPECT_EQ(errorCodeOf(outcomes[0]), ErrorCode::RankLost);
  EXPECT_THAT(outcomes[0].ToString(),
              HasSubstr("rank 0: loading weights: rank 1 gave up: no such kernel"));
  EXPECT_TRUE(absl::IsAborted(outcomes[2])) << outcomes[2];
}

TEST(ProcessGroup, WaitsNoLongerThanTheDeadline) {
  std::vector<ProcessGroupOptions> options = optionsOfAll(2);
  options[0].deadline = milliseconds(200);
  const auto body = [](ProcessGroup &group) -> absl::Status {
    if (group.rank() == 0)
      return group.barrier("a test");
    std::this_thread::sleep_for(milliseconds(500));
    return group.check();
  };
  const std::vector<absl::Status> outcomes = runProcesses(options, body);
  EXPECT_EQ(errorCodeOf(outcomes[0]), ErrorCode::Deadline) << outcomes[0];
  EXPECT_EQ(errorCodeOf(outcomes[1]), ErrorCode::RankLost) << outcomes[1]; // it was told
}

TEST(ProcessGroup, ChecksWithoutWaiting) {
  const auto body = [](ProcessGroup &group) -> absl::Status {
    EXPECT_TRUE(group.check().ok());
    // One that is at the next collective already is no news.
    if (group.rank() == 0)
      std::this_thread::sleep_for(milliseconds(50));
    EXPECT_TRUE(group.check().ok());
    return group.barrier("a test");
  };
  for (const absl::Status &outcome : runProcesses(optionsOfAll(2), body))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

TEST(ProcessGroup, NoticesAProcessThatWasKilled) {
  const ProcessGroupOptions own = optionsOf(0, 2);
  ProcessGroupOptions other = own;
  other.rank = 1;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const absl::StatusOr<std::unique_ptr<ProcessGroup>> joined = ProcessGroup::join(other);
    pause();
    _exit(joined.ok() ? 0 : 1);
  }
  absl::StatusOr<std::unique_ptr<ProcessGroup>> group = ProcessGroup::join(own);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_TRUE((*group)->check().ok());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const absl::Status status = (*group)->check();
  EXPECT_EQ(errorCodeOf(status), ErrorCode::RankLost);
  EXPECT_THAT(status.ToString(), HasSubstr("rank 0: while running: rank 1 has ended"));
  EXPECT_EQ((*group)->barrier("a test"), status); // it stays lost
}

} // namespace
} // namespace epigraph
