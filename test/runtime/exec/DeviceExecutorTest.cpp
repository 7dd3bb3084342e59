// What a plan computes on a device, against the definition of the test model: the device is one in
// name only, but the executor does not know.
#include "runtime/exec/PlanExecutor.h"

#include "runtime/session/Session.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/exec/DeferredDriver.h"
#include "test/runtime/exec/ExpectedNumbers.h"
#include "test/runtime/exec/TestArtifact.h"

namespace epigraph {
namespace {

using namespace testmodel;

class DeviceExecutorTest : public testing::Test {
protected:
  absl::StatusOr<std::unique_ptr<PlanExecutor>> open(TestArtifactOptions options = {}) {
    options.onDevice = true;
    options.target = "deferred:test";
    executorOptions.openDriver = [this](std::string_view target, MemoryPool &pool,
                                        const DriverOptions &) {
      EXPECT_EQ(target, "deferred:test");
      return std::make_unique<DeferredDriver>(pool, work);
    };
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

/// Chunks of many sequences, single tokens among them, over page borders.
TEST_F(DeviceExecutorTest, LogitsOfEveryPosition) {
  const std::unique_ptr<PlanExecutor> executor = load();
  StepDriver driver(*executor, nullptr);
  std::vector<std::vector<int32_t>> ids;
  std::vector<Passage> passages;
  for (int32_t i = 0; i < 9; ++i)
    ids.push_back(idsOf(1 + static_cast<size_t>(i) * 23, i));
  for (const std::vector<int32_t> &of : ids)
    passages.push_back({of, {}});
  size_t visited = 0;
  const absl::Status status =
      visitLogits(driver, passages, [&](size_t i, int32_t position, absl::Span<const float> row) {
        ++visited;
        const std::vector<int32_t> history(ids[i].begin(), ids[i].begin() + position + 1);
        EXPECT_EQ(std::vector<float>(row.begin(), row.end()), logitsAfter(history));
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(visited, 9u + 23 * 36);
}

/// Greedy texts of `requests` prompts.
void expectGreedyTexts(PlanExecutor &executor, int32_t requests) {
  Session session(executor);
  std::vector<GenerationRequest> asked;
  for (int32_t i = 0; i < requests; ++i)
    asked.push_back({idsOf(1 + static_cast<size_t>(i) * 7, i), 5, {}});
  const absl::StatusOr<GenerationReport> report = session.generate(asked);
  ASSERT_TRUE(report.ok()) << report.status();
  for (size_t i = 0; i < asked.size(); ++i) {
    std::vector<int32_t> history = asked[i].ids;
    for (const int32_t token : report->results[i].ids) {
      const std::vector<float> logits = logitsAfter(history);
      EXPECT_EQ(token, std::max_element(logits.begin(), logits.end()) - logits.begin());
      history.push_back(token);
    }
  }
}

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

TEST_F(DeviceExecutorTest, CopiesOnlyWhatAStepHas) {
  TestArtifactOptions options;
  options.batchTokens = 4096;
  const std::unique_ptr<PlanExecutor> executor = load(options);
  const StepBatch batch{{5}, {0}, {0}, {3}, 1, {0}, {}};
  ASSERT_TRUE(executor->step("main", {batch}, false).ok());
  // The step, five arrays, partial results and one item, to a cache line each.
  EXPECT_EQ(work.copiedIn, sizeof(DeviceStep) + 7 * 64);
}

TEST_F(DeviceExecutorTest, HiddenStatesAndMtp) {
  const std::unique_ptr<PlanExecutor> executor = load();
  Session session(*executor);
  const std::vector<int32_t> ids = idsOf(7, 1), nexts = idsOf(7, 2);
  const absl::StatusOr<std::vector<float>> logits = session.mtpLogits(ids, nexts);
  ASSERT_TRUE(logits.ok()) << logits.status();
  std::vector<float> expected;
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::vector<int32_t> history(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(i) + 1);
    const std::vector<float> row = mtpLogits(hiddenAfter(history), nexts[i]);
    expected.insert(expected.end(), row.begin(), row.end());
  }
  EXPECT_EQ(*logits, expected);
}

TEST_F(DeviceExecutorTest, EmptyBatches) {
  const std::unique_ptr<PlanExecutor> executor = load();
  const auto results = executor->step("main", {StepBatch()}, true);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE((*results)[0].logits.empty());
  EXPECT_TRUE((*results)[0].hidden.empty());
}

TEST_F(DeviceExecutorTest, TellsItsProgressAndItsTime) {
  std::vector<std::string> told;
  double last = 0;
  executorOptions.progress = [&](std::string_view what, double share) {
    if (told.empty() || told.back() != what)
      told.emplace_back(what);
    last = share;
  };
  const std::unique_ptr<PlanExecutor> executor = load();
  EXPECT_EQ(told, (std::vector<std::string>{"loading weights", "recording steps"}));
  EXPECT_EQ(last, 1);
  ASSERT_TRUE(Session(*executor).logits(idsOf(4, 1)).ok());
  const std::vector<StepTime> times = executor->stepTimes();
  ASSERT_EQ(times.size(), 1u);
  EXPECT_GT(times[0].kernels.count(), 0);
  EXPECT_GT(times[0].host().count(), 0);
  EXPECT_EQ(executor->firstRank(), 0);
}

TEST_F(DeviceExecutorTest, AFailedStepIsReported) {
  const std::unique_ptr<PlanExecutor> executor = load();
  const StepBatch batch{{5}, {0}, {0}, {3}, 1, {0}, {}};
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
