// What a plan computes on 1, 2 and 4 ranks of processors, and on a device, against the definition
// of the test model.
#include "runtime/exec/PlanExecutor.h"

#include "runtime/session/Session.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/exec/DeferredDriver.h"
#include "test/runtime/exec/GreedyTexts.h"
#include "test/runtime/exec/TestArtifact.h"

namespace epigraph {
namespace {

using namespace testmodel;

struct Variant {
  uint32_t ranks;
  bool dataParallel;
  int threads;
  bool underWay = false; ///< collectives start, and are waited for apart
  bool onDevice = false; ///< of one rank, which exchanges nothing
};

class PlanExecutorTest : public testing::TestWithParam<Variant> {
protected:
  std::unique_ptr<PlanExecutor> load() {
    TestArtifactOptions options;
    options.ranks = GetParam().ranks;
    options.dataParallel = GetParam().dataParallel;
    options.underWay = GetParam().underWay;
    options.onDevice = GetParam().onDevice;
    PlanExecutorOptions executorOptions;
    executorOptions.threads = GetParam().threads;
    if (options.onDevice) {
      options.target = kDeferredTarget;
      executorOptions.openDriver = deferredDrivers(work);
    }
    const Artifact artifact = writeTestArtifact(folder.path(), options);
    absl::StatusOr<std::unique_ptr<PlanExecutor>> executor =
        PlanExecutor::create(artifact, executorOptions);
    EXPECT_TRUE(executor.ok()) << executor.status();
    return *std::move(executor);
  }
  const TestFolder folder;
  DeferredWork work;
};

INSTANTIATE_TEST_SUITE_P(Variants, PlanExecutorTest,
                         testing::Values(Variant{1, false, 1}, Variant{1, false, 3},
                                         Variant{2, false, 2}, Variant{4, false, 0},
                                         Variant{8, false, 0}, Variant{1, true, 1},
                                         Variant{2, true, 4}, Variant{4, true, 0},
                                         Variant{2, false, 2, true}, Variant{4, true, 0, true},
                                         Variant{1, false, 1, false, true}));

TEST_P(PlanExecutorTest, DescribesTheModel) {
  const std::unique_ptr<PlanExecutor> executor = load();
  const ModelInfo &info = executor->info();
  EXPECT_EQ(info.architecture, "TestModel");
  EXPECT_EQ(info.vocab, kVocab);
  EXPECT_EQ(info.hidden, kHidden);
  EXPECT_EQ(info.ranks, static_cast<int32_t>(GetParam().ranks));
  EXPECT_EQ(info.dataParallelAttention, GetParam().dataParallel);
  EXPECT_EQ(info.maxBatchTokens, 16);
  EXPECT_EQ(info.maxSequences, 4);
  EXPECT_EQ(info.maxContext, 256);
  EXPECT_EQ(info.pages, 16); // four sequences of four pages
  EXPECT_TRUE(info.hasMtp);
}

/// Chunks of many sequences, single tokens among them, over page borders.
TEST_P(PlanExecutorTest, LogitsOfEveryPosition) {
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

TEST_P(PlanExecutorTest, GeneratedTextIsThatOfEachPromptAlone) { expectGreedyTexts(*load(), 12); }

TEST_P(PlanExecutorTest, HiddenStatesAndMtp) {
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

TEST_P(PlanExecutorTest, EmptyBatches) {
  const std::unique_ptr<PlanExecutor> executor = load();
  const size_t lanes = GetParam().dataParallel ? GetParam().ranks : 1;
  std::vector<StepBatch> batches(lanes);
  for (int round = 0; round < 2; ++round) {
    const auto results = executor->step("main", batches, true);
    ASSERT_TRUE(results.ok()) << results.status();
    for (size_t lane = 0; lane < lanes; ++lane) {
      EXPECT_TRUE((*results)[lane].logits.empty());
      EXPECT_EQ((*results)[lane].hidden.size(), batches[lane].ids.size() * kHidden);
    }
    // One rank alone has tokens: all others still take part in its experts.
    batches.back() = {{5}, {0}, {0}, {3}, 1, {}, {}, {}};
  }
}

TEST_P(PlanExecutorTest, CountsItsTime) {
  const std::unique_ptr<PlanExecutor> executor = load();
  Session session(*executor);
  ASSERT_TRUE(session.logits(idsOf(4, 1)).ok());
  const std::vector<StepTime> times = executor->stepTimes();
  ASSERT_EQ(times.size(), GetParam().ranks);
  for (const StepTime &time : times) {
    EXPECT_GT(time.kernels.count(), 0);
    EXPECT_EQ(time.communication.count() > 0, !GetParam().onDevice);
    EXPECT_GE(time.host().count(), 0);
    EXPECT_EQ((time.kernels + time.communication + time.host()).count(), time.total.count());
  }
}

TEST_P(PlanExecutorTest, RefusesBatchesAndStaysUsable) {
  const std::unique_ptr<PlanExecutor> executor = load();
  const size_t lanes = GetParam().dataParallel ? GetParam().ranks : 1;
  std::vector<StepBatch> batches(lanes);
  expectError(executor->step("chat", batches, false), absl::StatusCode::kInvalidArgument,
              "no function 'chat'");
  expectError(executor->step("mtp", batches, true), absl::StatusCode::kInvalidArgument,
              "no hidden states");
  expectError(executor->step("main", std::vector<StepBatch>(lanes + 1), false),
              absl::StatusCode::kInvalidArgument, absl::StrCat("takes ", lanes, " batches"));
  batches.back() = {{kVocab}, {0}, {0}, {0}, 1, {}, {}, {}};
  expectError(executor->step("main", batches, false), absl::StatusCode::kInvalidArgument,
              "outside the vocabulary");
  EXPECT_TRUE(Session(*executor).logits({1, 2, 3}).ok());
}

} // namespace
} // namespace epigraph
