// What does not load, and what fails while it runs.
#include "runtime/device/MemoryPool.h"
#include "runtime/exec/PlanExecutor.h"
#include "runtime/session/Session.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/exec/TestArtifact.h"
#include "test/runtime/exec/TestModel.h"

namespace epigraph {
namespace {

using namespace testmodel;
using Loaded = absl::StatusOr<std::unique_ptr<PlanExecutor>>;

class PlanExecutorRefusal : public testing::Test {
protected:
  Loaded load(const TestArtifactOptions &options, const PlanExecutorOptions &executor = {}) {
    return PlanExecutor::create(writeTestArtifact(folder.path(), options), executor);
  }
  TestArtifactOptions onRanks(uint32_t ranks) {
    TestArtifactOptions options;
    options.ranks = ranks;
    return options;
  }
  const TestFolder folder;
};

TEST_F(PlanExecutorRefusal, TargetsAndFeatures) {
  TestArtifactOptions options;
  options.target = "abacus";
  expectError(load(options), absl::StatusCode::kUnimplemented, "no driver for target 'abacus'");
  options.target = "cpu:x86-64-v9";
  options.features = {"of-the-future"};
  expectError(load(options), absl::StatusCode::kUnimplemented, "lacks of-the-future");
}

TEST_F(PlanExecutorRefusal, WeightsThatDoNotMatchThePlan) {
  TestArtifactOptions options = onRanks(2);
  options.misshapenWeight = "head";
  expectError(load(options), absl::StatusCode::kDataLoss,
              "weights/shared.safetensors: weight 'head' is F32 [32, 4, 1]; expected F32 [32, 4]");
  options.misshapenWeight = "scale";
  expectError(load(options), absl::StatusCode::kDataLoss,
              "weights/rank-0.safetensors: weight 'scale' is F32 [4, 1]; expected F32 [4]");
  options.misshapenWeight = "";
  options.renamedWeight = "table";
  expectError(load(options), absl::StatusCode::kDataLoss, "weight 'table' is missing");
  options.renamedWeight = "";
  options.changePlan = [](plan::PlanT &plan) { plan.weights[0]->dtype = plan::DType::I32; };
  expectError(load(options), absl::StatusCode::kDataLoss, "is F32 [32, 4]; expected I32 [32, 4]");
}

TEST_F(PlanExecutorRefusal, KernelsThatAreMissing) {
  TestArtifactOptions options;
  options.changePlan = [](plan::PlanT &plan) { plan.kernels[0]->symbol = "no_such_kernel"; };
  expectError(load(options), absl::StatusCode::kFailedPrecondition,
              "has no kernel 'no_such_kernel'");
}

TEST_F(PlanExecutorRefusal, PlansThatThisRuntimeDoesNotRun) {
  const auto refuse = [&](std::function<void(plan::FunctionT &)> change, const char *message) {
    TestArtifactOptions options = onRanks(2);
    options.changePlan = [&](plan::PlanT &plan) { change(*plan.functions[0]); };
    expectError(load(options), absl::StatusCode::kFailedPrecondition, message);
  };
  refuse([](plan::FunctionT &main) { main.inputs[0]->name = "pixels"; }, "input 'pixels'");
  refuse([](plan::FunctionT &main) { main.inputs[0]->row_elements = 2; }, "input 'ids'");
  refuse([](plan::FunctionT &main) { main.outputs[0]->name = "answer"; }, "no output 'logits'");
  refuse([](plan::FunctionT &main) { std::swap(main.outputs[0]->source, main.outputs[1]->source); },
         "output 'logits' is not one row of 32");
  // Buffers: 1 this rank's share, 2 its rows by expert, 5 what arrived, 9 and 10 the way back of
  // the shares.
  refuse([](plan::FunctionT &main) { main.buffers[5]->offset = main.buffers[2]->offset; },
         "mlp.dispatch: source and result of an exchange");
  refuse([](plan::FunctionT &main) { main.buffers[8]->offset = main.buffers[7]->offset; },
         "mlp.combine: source and result of an exchange");
  refuse([](plan::FunctionT &main) { main.buffers[10]->offset = main.buffers[9]->offset; },
         "AllGatherRows: source and result of a collective overlap");
}

TEST_F(PlanExecutorRefusal, WhatDoesNotFitTheMemory) {
  const Loaded loaded = load(onRanks(2));
  ASSERT_TRUE(loaded.ok());
  const MemoryNeed need = (*loaded)->memoryNeed();
  EXPECT_EQ(need.fewestPages, 4);
  EXPECT_EQ(need.mostPages, 16);
  // Two float32 tables, scales and the ranks' numbers.
  EXPECT_EQ(need.weights, 2u * kVocab * kHidden * 4 + kExperts * 4 + 2 * 4);
  EXPECT_EQ(need.page, 2u * 64 * kHidden * 4);

  PlanExecutorOptions options;
  options.memoryPoolBytes = need.total(16);
  EXPECT_EQ((*load(onRanks(2), options))->info().pages, 16);
  options.memoryPoolBytes = need.total(16) - 1;
  EXPECT_EQ((*load(onRanks(2), options))->info().pages, 15);
  options.memoryPoolBytes = need.total(4);
  EXPECT_EQ((*load(onRanks(2), options))->info().pages, 4);

  options.memoryPoolBytes = need.total(4) - 1;
  expectError(load(onRanks(2), options), absl::StatusCode::kResourceExhausted,
              "a context of 192 tokens would fit");
  options.memoryPoolBytes = need.withoutCaches() - 1;
  expectError(load(onRanks(2), options), absl::StatusCode::kResourceExhausted,
              absl::StrCat("raise --memory-pool-size to at least ", formatBytes(need.total(4))));
  options.memoryPoolBytes = 1;
  expectError(load(onRanks(2), options), absl::StatusCode::kResourceExhausted,
              "1 bytes are allowed");

  options.memoryPoolBytes = 0;
  options.pages = 2;
  EXPECT_EQ((*load(onRanks(2), options))->info().pages, 2);
}

TEST_F(PlanExecutorRefusal, LimitsBeyondAnyMachine) {
  TestArtifactOptions options;
  options.sequences = 1u << 30;
  options.context = 1u << 30;
  options.changePlan = [](plan::PlanT &plan) {
    plan.caches[0]->entry_elements = 1u << 31;
    // Rows of the outputs would not fit any arena: nothing is asked for.
    plan.functions[0]->buffers[12]->bytes = uint64_t{1} << 50;
    plan.functions[1]->buffers[0]->bytes = uint64_t{1} << 50;
    plan.arena_bytes = uint64_t{1} << 52;
  };
  expectError(load(options), absl::StatusCode::kResourceExhausted, "memory");
}

TEST_F(PlanExecutorRefusal, MoreRowsThanAnExchangeHasRoomFor) {
  TestArtifactOptions options = onRanks(2);
  options.receivedRows = 6; // and three more in the next buffer, which must not count
  Loaded loaded = load(options);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  Session session(**loaded);
  // Tokens 0, 2, 4, ... all belong to expert 2, on rank 0.
  EXPECT_TRUE(session.generate({GenerationRequest{{0, 2, 4, 6, 8, 0}, 1, {}}}).ok());
  expectError(session.generate({GenerationRequest{{0, 2, 4, 6, 8, 0, 2}, 1, {}}}),
              absl::StatusCode::kResourceExhausted,
              "rank 0: scatter_experts (mlp.dispatch): 7 rows arrive for this rank's experts, and "
              "there is room for 6");
  // A failed step is over on every rank: the next one starts afresh.
  EXPECT_TRUE(session.generate({GenerationRequest{{0, 2, 4, 6, 8, 0}, 1, {}}}).ok());
}

TEST_F(PlanExecutorRefusal, KernelsThatMiscount) {
  const Loaded loaded = load(onRanks(2));
  ASSERT_TRUE(loaded.ok());
  Session session(**loaded);
  expectError(session.logits({1, 3, kBadCount}), absl::StatusCode::kInternal, "is sent -1 rows");
  EXPECT_TRUE(session.logits({1, 2, 3}).ok());
}

TEST_F(PlanExecutorRefusal, ALateRank) {
  PlanExecutorOptions options;
  options.deadline = std::chrono::seconds(1);
  const Loaded loaded = load(onRanks(2), options);
  ASSERT_TRUE(loaded.ok());
  Session session(**loaded);
  // Later than the other rank waits, but not so late that it is given up.
  static_assert(kShortSleepTime > std::chrono::seconds(1) &&
                kShortSleepTime < std::chrono::seconds(2));
  expectError(session.logits({1, kShortSleep, 3}), absl::StatusCode::kDeadlineExceeded,
              "rank 0: scatter_experts (mlp.dispatch): rank 1 did not arrive within 1 s");
  EXPECT_TRUE(session.logits({1, 2, 3}).ok());
}

/// Rank 1 has started its part of the exchange, and is late to finish it.
TEST_F(PlanExecutorRefusal, ARankThatIsLateAfterStarting) {
  TestArtifactOptions model = onRanks(2);
  model.underWay = true;
  PlanExecutorOptions options;
  options.deadline = std::chrono::seconds(1);
  const Loaded loaded = load(model, options);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  Session session(**loaded);
  expectError(session.logits({1, kShortSleep, 3}), absl::StatusCode::kDeadlineExceeded,
              "rank 0: scatter_experts (mlp.dispatch): rank 1 did not arrive within 1 s");
  EXPECT_TRUE(session.logits({1, 2, 3}).ok());
}

/// Rank 0 sends what it counted wrong after rank 1 may have started: that one must not wait for it,
/// and what it has started must not be left for the next step.
TEST_F(PlanExecutorRefusal, ARankThatFailsWhileOthersHaveStarted) {
  TestArtifactOptions model = onRanks(2);
  model.underWay = true;
  const Loaded loaded = load(model);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  Session session(**loaded);
  for (int round = 0; round < 5; ++round) {
    expectError(session.logits({1, 3, kBadCount}), absl::StatusCode::kInternal, "is sent -1 rows");
    EXPECT_TRUE(session.logits({1, 2, 3}).ok());
  }
}

TEST_F(PlanExecutorRefusal, ARankThatNeverComesBack) {
  PlanExecutorOptions options;
  options.deadline = std::chrono::milliseconds(100);
  {
    const Loaded loaded = load(onRanks(2), options);
    ASSERT_TRUE(loaded.ok());
    Session session(**loaded);
    expectError(session.logits({1, kLongSleep, 3}), absl::StatusCode::kDeadlineExceeded,
                "rank 1 has made no progress for 0.1 s and did not come back; meanwhile: rank 0: ");
    expectError(session.logits({1, 2, 3}), absl::StatusCode::kFailedPrecondition,
                "load the artifact again");
  }
  // The executor is gone; what the sleeping rank still uses is not.
  std::this_thread::sleep_for(kLongSleepTime);
}

} // namespace
} // namespace epigraph
