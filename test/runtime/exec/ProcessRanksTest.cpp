// Ranks that are processes: what they share, and how they wait. Here they are
// threads with a driver each.
#include <unistd.h>

#include <functional>
#include <numeric>
#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/base/ErrorCode.h"
#include "runtime/base/Status.h"
#include "runtime/device/NullDriver.h"
#include "runtime/exec/LaneResults.h"
#include "runtime/exec/OpenCommunicator.h"
#include "runtime/exec/PeerRegions.h"
#include "runtime/exec/WatchProcesses.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

/// A device whose work takes forever.
class BusyDriver : public NullDriver {
public:
  using NullDriver::NullDriver;
  absl::Status synchronize(milliseconds deadline) override {
    std::this_thread::sleep_for(deadline);
    return absl::DeadlineExceededError("busy");
  }
};

using Body = std::function<absl::Status(ProcessGroup &)>;

/// Runs `body` as each of `ranks` ranks of a job.
std::vector<absl::Status> runRanks(int ranks, const char *job, const Body &body) {
  std::vector<absl::Status> outcomes(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      ProcessGroupOptions options;
      options.rank = rank;
      options.ranks = ranks;
      options.job = absl::StrCat("exec-", getpid(), "-", job);
      options.deadline = milliseconds(5000);
      absl::StatusOr<std::unique_ptr<ProcessGroup>> group = ProcessGroup::join(options);
      outcomes[static_cast<size_t>(rank)] = group.ok() ? body(**group) : group.status();
    });
  for (std::thread &thread : threads)
    thread.join();
  return outcomes;
}

TEST(PeerRegions, ReachesEveryRank) {
  const auto body = [](ProcessGroup &group) -> absl::Status {
    MemoryPool pool(uint64_t{1} << 24);
    NullDriver driver(pool);
    absl::StatusOr<std::unique_ptr<PeerRegions>> regions =
        PeerRegions::create(driver, group, 1000, milliseconds(100));
    if (!regions.ok())
      return regions.status();
    EXPECT_NE((*regions)->table(), nullptr);
    EXPECT_EQ(pool.used(), PeerRegions::bytesFor(1000));
    EXPECT_THAT(driver.work(),
                ElementsAre(absl::StrCat("copyIn ", sizeof(PeerTable)), "synchronize"));
    return (*regions)->check();
  };
  for (const absl::Status &outcome : runRanks(3, "reach", body))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

/// A device that rank 1 cannot reach from its own.
class UnlinkedDriver : public NullDriver {
public:
  UnlinkedDriver(MemoryPool &pool, const ProcessGroup &group) : NullDriver(pool), group(group) {}
  absl::StatusOr<std::unique_ptr<DeviceMemory>>
  importMemory(absl::Span<const uint8_t> exported) override {
    if (group.rank() == 1 && !sharesHost)
      return withCode(ErrorCode::NotLinked, absl::UnimplementedError("not linked"));
    return NullDriver::importMemory(exported);
  }
  absl::StatusOr<SharedMemory> allocateShared(uint64_t bytes, const std::string &purpose) override {
    sharesHost = true;
    return NullDriver::allocateShared(bytes, purpose);
  }
  bool sharesHost = false;

private:
  const ProcessGroup &group;
};

TEST(PeerRegions, GoThroughTheHostWhereDevicesAreNotLinked) {
  const auto body = [](ProcessGroup &group) -> absl::Status {
    MemoryPool pool(uint64_t{1} << 24);
    UnlinkedDriver driver(pool, group);
    absl::StatusOr<std::unique_ptr<PeerRegions>> regions =
        PeerRegions::create(driver, group, 1000, milliseconds(100));
    if (!regions.ok())
      return regions.status();
    EXPECT_TRUE(driver.sharesHost);
    EXPECT_EQ(pool.used(), sizeof(PeerTable)) << "a region of the device was kept";
    return (*regions)->check();
  };
  for (const absl::Status &outcome : runRanks(3, "unlinked", body))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

TEST(PeerRegions, UseTheMemoryThatWasAskedFor) {
  const auto hostAlone = [](ProcessGroup &group) -> absl::Status {
    MemoryPool pool(uint64_t{1} << 24);
    UnlinkedDriver driver(pool, group);
    absl::StatusOr<std::unique_ptr<PeerRegions>> regions =
        PeerRegions::create(driver, group, 1000, milliseconds(100), PeerMemory::Host);
    EXPECT_TRUE(driver.sharesHost);
    return regions.status();
  };
  for (const absl::Status &outcome : runRanks(2, "host", hostAlone))
    EXPECT_TRUE(outcome.ok()) << outcome;
  const auto deviceAlone = [](ProcessGroup &group) {
    MemoryPool pool(uint64_t{1} << 24);
    UnlinkedDriver driver(pool, group);
    return PeerRegions::create(driver, group, 1000, milliseconds(100), PeerMemory::Device).status();
  };
  const std::vector<absl::Status> outcomes = runRanks(2, "device", deviceAlone);
  EXPECT_EQ(errorCodeOf(outcomes[1]), ErrorCode::NotLinked);
  expectError(outcomes[0], absl::StatusCode::kAborted, "rank 1 gave up: not linked");
}

TEST(PeerRegions, RefusesRegionsOfDifferentSizes) {
  const auto body = [](ProcessGroup &group) {
    MemoryPool pool(uint64_t{1} << 24);
    NullDriver driver(pool);
    return PeerRegions::create(driver, group, group.rank() == 0 ? 1 << 21 : 1 << 22,
                               milliseconds(100))
        .status();
  };
  for (const absl::Status &outcome : runRanks(2, "sizes", body))
    EXPECT_THAT(outcome.ToString(), HasSubstr("has a region of"));
}

TEST(PeerRegions, TellsTheOthersWhatWentWrong) {
  const auto body = [](ProcessGroup &group) {
    MemoryPool pool(group.rank() == 0 ? 10 : uint64_t{1} << 24);
    NullDriver driver(pool);
    return PeerRegions::create(driver, group, 1000, milliseconds(100)).status();
  };
  const std::vector<absl::Status> outcomes = runRanks(2, "cap", body);
  expectError(outcomes[0], absl::StatusCode::kResourceExhausted, "exchanges of rank 0");
  expectError(outcomes[1], absl::StatusCode::kAborted, "rank 0 gave up: no memory for");
}

TEST(WatchProcesses, NoticesARankThatGivesUp) {
  const auto body = [](ProcessGroup &group) -> absl::Status {
    if (group.rank() == 1) {
      std::this_thread::sleep_for(milliseconds(50));
      group.abort(absl::InternalError("kernels failed"));
      return absl::OkStatus();
    }
    MemoryPool pool(0);
    BusyDriver driver(pool);
    return synchronizeWatching(driver, group, milliseconds(5000));
  };
  const absl::Status noticed = runRanks(2, "gives-up", body)[0];
  EXPECT_EQ(errorCodeOf(noticed), ErrorCode::RankLost);
  EXPECT_THAT(noticed.ToString(), HasSubstr("rank 1 gave up: kernels failed"));
}

TEST(WatchProcesses, WaitsUntilTheDeadline) {
  const auto body = [](ProcessGroup &group) {
    MemoryPool pool(0);
    BusyDriver driver(pool);
    const absl::Status status = synchronizeWatching(driver, group, milliseconds(50));
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    return group.barrier("the end");
  };
  for (const absl::Status &outcome : runRanks(2, "deadline", body))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

/// Four ranks, two of each lane: what the first of each has computed reaches all.
TEST(LaneResults, GivesEveryProcessWhatAllLanesComputed) {
  const std::vector<StepBatch> batches = {{{5, 6}, {0, 1}, {0, 0}, {0}, 1, {1}, {}, {}, true},
                                          {{7}, {0}, {0}, {0}, 1, {}, {}, {}, true}};
  const auto body = [&](ProcessGroup &group) -> absl::Status {
    ModelInfo info;
    info.ranks = 4;
    info.lanes = 2;
    info.vocab = 3;
    info.hidden = 1;
    LaneResults lanes(group, info);
    const bool isSecond = group.rank() >= 2;
    const std::vector<float> logits = {1, -2, static_cast<float>(group.rank())};
    const std::vector<int32_t> chosen = {group.rank() - 1};
    StepResult own;
    own.logits = absl::MakeConstSpan(logits).first(isSecond ? 0 : 3);
    own.hidden.assign(isSecond ? 1 : 2, 0.5f);
    EPIGRAPH_ASSIGN_OR_RETURN(std::vector<StepResult> all, lanes.gather(batches, own, true));
    EXPECT_THAT(all[0].logits, ElementsAre(1, -2, 0));
    EXPECT_FALSE(all[0].chosen.has_value());
    EXPECT_THAT(all[0].hidden, ElementsAre(0.5f, 0.5f));
    EXPECT_TRUE(all[1].logits.empty());

    own = {};
    own.chosen = absl::MakeConstSpan(chosen).first(isSecond ? 0 : 1);
    EPIGRAPH_ASSIGN_OR_RETURN(all, lanes.gather(batches, own, false));
    EXPECT_TRUE(all[0].logits.empty());
    EXPECT_THAT(*all[0].chosen, ElementsAre(-1)) << "the first rank's, whatever its bits";
    EXPECT_TRUE(all[1].chosen->empty());
    return absl::OkStatus();
  };
  for (const absl::Status &outcome : runRanks(4, "lanes", body))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

/// Logits of one lane that one message does not hold, and none of the other.
TEST(LaneResults, GoInPieces) {
  std::vector<StepBatch> batches(2);
  batches[0].ids = {1, 2, 3};
  batches[0].outputRows = {1, 2};
  const auto body = [&](ProcessGroup &group) -> absl::Status {
    ModelInfo info;
    info.ranks = info.lanes = 2;
    info.vocab = 20000;
    std::vector<float> logits(group.rank() == 0 ? 40000 : 0);
    std::iota(logits.begin(), logits.end(), 0.0F);
    StepResult own;
    own.logits = logits;
    LaneResults lanes(group, info);
    EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<StepResult> all, lanes.gather(batches, own, false));
    std::vector<float> expected(40000);
    std::iota(expected.begin(), expected.end(), 0.0F);
    EXPECT_EQ(all[0].logits, absl::MakeConstSpan(expected));
    EXPECT_TRUE(all[1].logits.empty());
    return absl::OkStatus();
  };
  for (const absl::Status &outcome : runRanks(2, "pieces", body))
    EXPECT_TRUE(outcome.ok()) << outcome;
}

TEST(OpenCommunicator, KnowsWhoMeetsAlongAnAxis) {
  EXPECT_THAT(membersAlong(plan::Axis::Expert, 1, 4, 1), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(membersAlong(plan::Axis::Tensor, 1, 4, 1), ElementsAre(1));
  EXPECT_THAT(membersAlong(plan::Axis::Expert, 5, 6, 2), ElementsAre(1, 3, 5));
  EXPECT_THAT(membersAlong(plan::Axis::Tensor, 5, 6, 2), ElementsAre(4, 5));
}

TEST(OpenCommunicator, RefusesDevicesWithoutOne) {
  const auto body = [](ProcessGroup &group) {
    MemoryPool pool(0);
    NullDriver driver(pool);
    const std::vector<int> members = {0, 1};
    return openCommunicator(driver, group, members, milliseconds(100)).status();
  };
  for (const absl::Status &outcome : runRanks(2, "null", body))
    expectError(outcome, absl::StatusCode::kUnimplemented, "no way for ranks to exchange rows");
}

} // namespace
} // namespace epigraph
