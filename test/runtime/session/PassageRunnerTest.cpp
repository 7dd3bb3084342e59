#include "runtime/session/PassageRunner.h"

#include <random>

#include "runtime/session/Session.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/session/ToyModel.h"

namespace epigraph {
namespace {

std::vector<int32_t> randomIds(size_t length, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids;
  while (ids.size() < length)
    ids.push_back(static_cast<int32_t>(random() % 29));
  return ids;
}

std::vector<int32_t> prefix(const std::vector<int32_t> &ids, size_t length) {
  return {ids.begin(), ids.begin() + static_cast<ptrdiff_t>(length)};
}

std::vector<float> expectedLogits(const std::vector<int32_t> &ids) {
  std::vector<float> all;
  for (size_t length = 1; length <= ids.size(); ++length) {
    const std::vector<float> row = toyLogits(prefix(ids, length), 29);
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

TEST(PassageRunner, LogitsOfEveryPosition) {
  ToyModel model(toyInfo());
  Session session(model);
  for (const size_t length : {1, 3, 4, 64, 65, 200}) {
    const std::vector<int32_t> ids = randomIds(length, 1);
    const absl::StatusOr<std::vector<float>> logits = session.logits(ids);
    ASSERT_TRUE(logits.ok()) << logits.status();
    EXPECT_EQ(*logits, expectedLogits(ids)) << length;
  }
}

TEST(PassageRunner, MtpLogitsOfEveryPosition) {
  ToyModel model(toyInfo());
  Session session(model);
  const std::vector<int32_t> ids = randomIds(70, 1), nexts = randomIds(70, 2);
  const absl::StatusOr<std::vector<float>> logits = session.mtpLogits(ids, nexts);
  ASSERT_TRUE(logits.ok()) << logits.status();
  std::vector<float> expected;
  for (size_t length = 1; length <= ids.size(); ++length) {
    const std::vector<float> row = toyMtpLogits(prefix(ids, length), prefix(nexts, length), 29, 3);
    expected.insert(expected.end(), row.begin(), row.end());
  }
  EXPECT_EQ(*logits, expected);
}

class ManyPassages : public testing::TestWithParam<int> {}; // lanes
INSTANTIATE_TEST_SUITE_P(Lanes, ManyPassages, testing::Values(1, 3));

TEST_P(ManyPassages, EachGivesItsOwnRowsInOrder) {
  ModelInfo info = toyInfo();
  info.ranks = info.lanes = GetParam();
  info.dataParallelAttention = GetParam() > 1;
  info.pages = 5;
  ToyModel model(info);
  StepDriver driver(model, nullptr);
  std::vector<std::vector<int32_t>> ids;
  std::vector<Passage> passages;
  for (unsigned i = 0; i < 20; ++i)
    ids.push_back(randomIds(1 + i * 13 % 120, i));
  for (const std::vector<int32_t> &of : ids)
    passages.push_back({of, {}});
  std::vector<std::vector<float>> rows(ids.size());
  const absl::Status status =
      visitLogits(driver, passages, [&](size_t i, int32_t position, absl::Span<const float> row) {
        EXPECT_EQ(rows[i].size(), static_cast<size_t>(position) * 29);
        rows[i].insert(rows[i].end(), row.begin(), row.end());
        return absl::OkStatus();
      });
  ASSERT_TRUE(status.ok()) << status;
  for (size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(rows[i], expectedLogits(ids[i])) << i;
  for (Lane &lane : driver.lanes())
    EXPECT_EQ(lane.pool.available(), 5);
}

TEST(PassageRunner, Refusals) {
  ToyModel model(toyInfo());
  Session session(model);
  expectError(session.logits({}), absl::StatusCode::kInvalidArgument, "has no tokens");
  expectError(session.logits(randomIds(201, 1)), absl::StatusCode::kOutOfRange, "--max-context");
  expectError(session.mtpLogits({1, 2}, {}), absl::StatusCode::kInvalidArgument, "none are given");
  expectError(session.mtpLogits({1, 2}, {3}), absl::StatusCode::kInvalidArgument,
              "expected a next token for each of the 2 tokens, found 1");
  expectError(session.mtpLogits({1, 2}, {3, 29}), absl::StatusCode::kInvalidArgument,
              "token id 29");
  ModelInfo info = toyInfo();
  info.hasMtp = false;
  ToyModel plain(info);
  expectError(Session(plain).mtpLogits({1}, {2}), absl::StatusCode::kUnimplemented, "no MTP layer");
  EXPECT_TRUE(model.steps.empty());
}

TEST(PassageRunner, AnErrorOfTheVisitorEndsIt) {
  ToyModel model(toyInfo());
  Session session(model);
  const std::vector<int32_t> ids = randomIds(100, 1);
  const absl::Status status =
      session.visit({ids, {}}, [](size_t, int32_t position, absl::Span<const float>) {
        return position == 4 ? absl::DataLossError("disk full") : absl::OkStatus();
      });
  expectError(status, absl::StatusCode::kDataLoss, "disk full");
  EXPECT_EQ(model.steps.size(), 2u);
}

} // namespace
} // namespace epigraph
