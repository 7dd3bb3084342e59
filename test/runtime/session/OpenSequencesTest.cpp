#include "runtime/session/OpenSequences.h"

#include <map>
#include <random>

#include "runtime/session/Session.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/session/ToyModel.h"

namespace epigraph {
namespace {

constexpr int32_t kVocab = 29;

std::vector<int32_t> randomIds(size_t length, std::mt19937 &random) {
  std::vector<int32_t> ids;
  while (ids.size() < length)
    ids.push_back(static_cast<int32_t>(random() % kVocab));
  return ids;
}

/// The logits after each of the last `count` tokens of `history`, by definition.
std::vector<float> expectedRows(const std::vector<int32_t> &history, size_t count) {
  std::vector<float> rows;
  for (size_t length = history.size() - count + 1; length <= history.size(); ++length) {
    const std::vector<float> row =
        toyLogits({history.begin(), history.begin() + static_cast<ptrdiff_t>(length)}, kVocab);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return rows;
}

class OpenSequencesOnLanes : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Lanes, OpenSequencesOnLanes, testing::Values(1, 3));

// Chunks of 1 to 40 tokens: more than a step takes (8), and across page borders (64).
TEST_P(OpenSequencesOnLanes, EachSequenceGetsTheLogitsOfItsOwnHistory) {
  ModelInfo info = toyInfo();
  info.ranks = info.lanes = GetParam();
  info.dataParallelAttention = GetParam() > 1;
  info.pages = 20;
  ToyModel model(info);
  StepDriver driver(model, nullptr);
  OpenSequences sequences(driver);
  std::mt19937 random(1);
  std::map<int64_t, std::vector<int32_t>> histories;
  for (int i = 0; i < 5; ++i)
    histories[sequences.add()];

  for (int round = 0; round < 8; ++round) {
    std::vector<SequenceInput> inputs;
    for (auto &[sequence, history] : histories)
      if (random() % 3 != 0 && history.size() < 150) {
        inputs.push_back({sequence, randomIds(1 + random() % 40, random)});
        const std::vector<int32_t> &ids = inputs.back().ids;
        history.insert(history.end(), ids.begin(), ids.end());
      }
    const ChunkOutputs outputs = round % 2 ? ChunkOutputs::All : ChunkOutputs::Last;
    const auto logits = sequences.step(inputs, outputs);
    ASSERT_TRUE(logits.ok()) << logits.status();
    ASSERT_EQ(logits->size(), inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::vector<int32_t> &history = histories[inputs[i].sequence];
      const size_t rows = outputs == ChunkOutputs::All ? inputs[i].ids.size() : 1;
      EXPECT_EQ((*logits)[i], expectedRows(history, rows)) << "round " << round << ", input " << i;
      EXPECT_EQ(*sequences.length(inputs[i].sequence), static_cast<int64_t>(history.size()));
    }
  }
  for (const auto &[sequence, history] : histories)
    EXPECT_TRUE(sequences.close(sequence).ok());
  for (const Lane &lane : driver.lanes())
    EXPECT_EQ(lane.pool.available(), info.pages);
}

TEST(OpenSequences, ShortInputsShareOneStep) {
  ToyModel model(toyInfo());
  StepDriver driver(model, nullptr);
  OpenSequences sequences(driver);
  const int64_t a = sequences.add(), b = sequences.add();
  ASSERT_TRUE(sequences.step({{a, {1, 2, 3}}, {b, {4}}}, ChunkOutputs::Last).ok());
  ASSERT_EQ(model.steps.size(), 1u);
  EXPECT_EQ(model.steps[0][0].ids, (std::vector<int32_t>{1, 2, 3, 4}));
  EXPECT_EQ(model.steps[0][0].outputRows, (std::vector<int32_t>{2, 3}));
}

TEST(OpenSequences, Refusals) {
  ToyModel model(toyInfo());
  StepDriver driver(model, nullptr);
  OpenSequences sequences(driver);
  const int64_t a = sequences.add();
  const auto step = [&](std::vector<SequenceInput> inputs) {
    return sequences.step(inputs, ChunkOutputs::Last);
  };
  expectError(step({{a, {}}}), absl::StatusCode::kInvalidArgument, "no tokens");
  expectError(step({{a, {29}}}), absl::StatusCode::kInvalidArgument, "token id 29");
  expectError(step({{a, {1}}, {a, {2}}}), absl::StatusCode::kInvalidArgument, "named twice");
  expectError(step({{a + 1, {1}}}), absl::StatusCode::kNotFound, "not open");
  ASSERT_TRUE(step({{a, std::vector<int32_t>(150, 1)}}).ok());
  expectError(step({{a, std::vector<int32_t>(51, 1)}}), absl::StatusCode::kOutOfRange,
              "would have 201 tokens");
  EXPECT_EQ(*sequences.length(a), 150);
  ASSERT_TRUE(sequences.close(a).ok());
  expectError(sequences.close(a), absl::StatusCode::kNotFound, "not open");
  expectError(sequences.length(a), absl::StatusCode::kNotFound, "not open");
}

TEST(OpenSequences, AfterAFailedStepNothingHasChanged) {
  ToyModel model(toyInfo());
  StepDriver driver(model, nullptr);
  OpenSequences sequences(driver);
  std::mt19937 random(2);
  const int64_t a = sequences.add();
  std::vector<int32_t> history = randomIds(10, random);
  ASSERT_TRUE(sequences.step({{a, history}}, ChunkOutputs::Last).ok());

  // The third of several steps of one call fails.
  const size_t before = model.steps.size();
  model.beforeStep = [&]() -> absl::Status {
    return model.steps.size() - before == 2 ? absl::AbortedError("lost") : absl::OkStatus();
  };
  expectError(sequences.step({{a, randomIds(60, random)}}, ChunkOutputs::All),
              absl::StatusCode::kAborted, "lost");
  model.beforeStep = nullptr;
  EXPECT_EQ(*sequences.length(a), 10);

  const std::vector<int32_t> ids = randomIds(70, random);
  history.insert(history.end(), ids.begin(), ids.end());
  const auto logits = sequences.step({{a, ids}}, ChunkOutputs::All);
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_EQ(logits->front(), expectedRows(history, ids.size()));
}

TEST(OpenSequences, FullCachesAreSaid) {
  ModelInfo info = toyInfo();
  info.pages = 4; // a context of 200 needs all of them
  ToyModel model(info);
  Session session(model);
  OpenSequences sequences(session.stepDriver());
  const int64_t a = sequences.add(), b = sequences.add();
  ASSERT_TRUE(
      sequences.step({{a, std::vector<int32_t>(65, 1)}, {b, {1}}}, ChunkOutputs::Last).ok());
  expectError(sequences.step({{b, std::vector<int32_t>(190, 1)}}, ChunkOutputs::Last),
              absl::StatusCode::kResourceExhausted, "close sequences");
  // Whole-sequence calls say who holds the pages, and run once they are free.
  const std::vector<int32_t> ids(100, 1);
  expectError(session.logits(ids), absl::StatusCode::kResourceExhausted, "left open");
  expectError(session.generate({{ids, 4, {}}}), absl::StatusCode::kResourceExhausted, "left open");
  ASSERT_TRUE(sequences.close(a).ok());
  EXPECT_TRUE(session.logits(ids).ok());
}

} // namespace
} // namespace epigraph
