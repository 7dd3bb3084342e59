// How the executor drives a device that is one in name only, but the executor does not know. That
// it computes there what it computes elsewhere is PlanExecutorTest.cpp's.
#include "runtime/exec/PlanExecutor.h"

#include "runtime/session/Session.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/exec/DeferredDriver.h"
#include "test/runtime/exec/GreedyTexts.h"
#include "test/runtime/exec/TestArtifact.h"

namespace epigraph {
namespace {

using namespace testmodel;

class DeviceExecutorTest : public testing::Test {
protected:
  absl::StatusOr<std::unique_ptr<PlanExecutor>> open(TestArtifactOptions options = {}) {
    options.onDevice = true;
    options.target = kDeferredTarget;
    executorOptions.openDriver = deferredDrivers(work);
    return PlanExecutor::create(writeTestArtifact(folder.path(), options), executorOptions);
  }
  std::unique_ptr<PlanExecutor> load(const TestArtifactOptions &options = {}) {
    absl::StatusOr<std::unique_ptr<PlanExecutor>> executor = open(options);
    EXPECT_TRUE(executor.ok()) << executor.status();
    return *std::move(executor);
  }

  const TestFolder folder;
  DeferredWork work;
  PlanExecutorOptions executorOptions;
};

TEST_F(DeviceExecutorTest, ReplaysStepsThatDecode) {
  const std::unique_ptr<PlanExecutor> executor = load();
  EXPECT_EQ(work.recordings, 3); // of 1, 2 and 4 tokens: there are four sequences
  const int launched = work.launches;
  expectGreedyTexts(*executor, 12);
  EXPECT_GT(work.replays, 3);
  EXPECT_GT(work.launches, launched) << "prompts are not recorded";
}

TEST_F(DeviceExecutorTest, RunsWithoutRecordings) {
  work.records = false;
  const std::unique_ptr<PlanExecutor> executor = load();
  EXPECT_EQ(work.launches, 0);
  expectGreedyTexts(*executor, 12);
  EXPECT_EQ(work.replays, 0);
}

TEST_F(DeviceExecutorTest, GenerationCopiesTokensAlone) {
  expectGreedyTexts(*load(), 12);
  EXPECT_EQ(work.copiedOut, 12u * 5 * sizeof(int32_t));
  work.copiedOut = 0;
  TestArtifactOptions options;
  options.givesChosen = false;
  expectGreedyTexts(*load(options), 12);
  EXPECT_EQ(work.copiedOut, 12u * 5 * kVocab * sizeof(float));
}

TEST_F(DeviceExecutorTest, GivesTheBestInPlaceOfLogits) {
  const std::unique_ptr<PlanExecutor> executor = load();
  StepBatch batch{{5}, {0}, {0}, {3}, 1, {0}, {}, {}, true};
  const auto results = executor->step("main", {batch}, false);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE((*results)[0].logits.empty());
  ASSERT_TRUE((*results)[0].chosen.has_value());
  ASSERT_EQ((*results)[0].chosen->size(), 1u);
  const std::vector<float> logits = logitsAfter({5});
  EXPECT_EQ((*results)[0].chosen->front(),
            std::max_element(logits.begin(), logits.end()) - logits.begin());
}

TEST_F(DeviceExecutorTest, CopiesOnlyWhatAStepHas) {
  TestArtifactOptions options;
  options.batchTokens = 4096;
  const std::unique_ptr<PlanExecutor> executor = load(options);
  const StepBatch batch{{5}, {0}, {0}, {3}, 1, {0}, {}, {}};
  ASSERT_TRUE(executor->step("main", {batch}, false).ok());
  // The step, six arrays, partial results and one item, to a cache line each.
  EXPECT_EQ(work.copiedIn, sizeof(DeviceStep) + 8 * 64);
}

TEST_F(DeviceExecutorTest, TellsItsProgressAndItsTime) {
  std::vector<std::string> told;
  LoadStage last;
  executorOptions.progress = [&](const LoadStage &stage) {
    if (told.empty() || told.back() != stage.what)
      told.emplace_back(stage.what);
    last = stage;
  };
  const std::unique_ptr<PlanExecutor> executor = load();
  EXPECT_EQ(told, (std::vector<std::string>{"loading weights", "recording steps"}));
  EXPECT_EQ(last.done, last.total);
  EXPECT_FALSE(last.countsBytes);
  ASSERT_TRUE(Session(*executor).logits(idsOf(4, 1)).ok());
  const std::vector<StepTime> times = executor->stepTimes();
  ASSERT_EQ(times.size(), 1u);
  EXPECT_GT(times[0].kernels.count(), 0);
  EXPECT_GT(times[0].host().count(), 0);
  EXPECT_EQ(executor->firstRank(), 0);
}

TEST_F(DeviceExecutorTest, AFailedStepIsReported) {
  const std::unique_ptr<PlanExecutor> executor = load();
  const StepBatch batch{{5}, {0}, {0}, {3}, 1, {0}, {}, {}};
  work.failure = absl::InternalError("illegal address");
  expectError(executor->step("main", {batch}, false), absl::StatusCode::kInternal,
              "rank 0: illegal address");
  EXPECT_TRUE(executor->step("main", {batch}, false).ok());
  work.failure = absl::DeadlineExceededError("too long");
  expectError(executor->step("main", {batch}, false), absl::StatusCode::kDeadlineExceeded,
              "rank 0: too long");
  expectError(executor->step("main", {batch}, false), absl::StatusCode::kFailedPrecondition,
              "load the artifact again");
}

TEST_F(DeviceExecutorTest, RefusesWhatDoesNotFitTheDevice) {
  const MemoryNeed need = load()->memoryNeed();
  EXPECT_EQ(need.workspaces, 256u);
  work.availableBytes = need.total(4);
  EXPECT_EQ(load()->info().pages, 4);
  work.availableBytes = need.total(4) - 1;
  expectError(open(), absl::StatusCode::kResourceExhausted, "are free on its device");
  expectError(open(), absl::StatusCode::kResourceExhausted,
              "a context of 192 tokens would fit: compile the model again with that "
              "--max-context, or compile it for more ranks");
  // What a user allows counts where it is less.
  work.availableBytes = need.total(16);
  executorOptions.memoryPoolBytes = need.total(4) - 1;
  expectError(open(), absl::StatusCode::kResourceExhausted, "raise --memory-pool-size");
}

TEST_F(DeviceExecutorTest, RefusesAWorldOfAnotherSize) {
  setenv("WORLD_SIZE", "2", 1);
  setenv("RANK", "1", 1);
  const auto executor = open();
  unsetenv("WORLD_SIZE");
  unsetenv("RANK");
  expectError(executor, absl::StatusCode::kFailedPrecondition,
              "the artifact has 1 rank, and RANK says that there are 2 processes");
}

TEST_F(DeviceExecutorTest, RefusesPlansOfTheOtherKind) {
  TestArtifactOptions options;
  options.changePlan = [](plan::PlanT &plan) {
    for (std::unique_ptr<plan::KernelT> &kernel : plan.kernels)
      kernel->variants.clear();
  };
  expectError(open(options), absl::StatusCode::kFailedPrecondition,
              "the plan's kernels are of a CPU");
}

} // namespace
} // namespace epigraph
