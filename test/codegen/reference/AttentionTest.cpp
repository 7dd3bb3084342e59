// Attention against loops over whole sequences in double, without pages and without batches.
#include "codegen/reference/Attention.h"
#include "codegen/reference/Dense.h"
#include "codegen/reference/Structure.h"
#include "test/codegen/reference/Samples.h"

namespace epigraph::reference {
namespace {

using ::testing::HasSubstr;

/// softmax(scale * scores) * values of one row; values [positions][size].
std::vector<double> attend(const std::vector<double> &scores,
                           const std::vector<std::vector<double>> &values) {
  std::vector<double> result(values.front().size(), 0.0);
  double sum = 0;
  for (double score : scores)
    sum += std::exp(score);
  for (size_t p = 0; p < scores.size(); ++p)
    for (size_t i = 0; i < result.size(); ++i)
      result[i] += std::exp(scores[p]) / sum * values[p][i];
  return result;
}

double dot(const float *a, const float *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

std::vector<double> widen(const float *values, int64_t count) {
  return std::vector<double>(values, values + count);
}

struct KvInput {
  Tensor q, keys, values;
};

constexpr KvLayout kLayout{.heads = 2, .key = 3, .value = 5};

/// Grouped-query attention of one sequence from position 0 on.
std::vector<double> expectedAttention(const KvInput &in, double scale) {
  std::vector<double> expected;
  int64_t heads = in.q.dim(1);
  for (int64_t t = 0; t < in.q.rows(); ++t)
    for (int64_t head = 0; head < heads; ++head) {
      int64_t kvHead = head * kLayout.heads / heads;
      std::vector<double> scores;
      std::vector<std::vector<double>> values;
      for (int64_t p = 0; p <= t; ++p) {
        scores.push_back(scale * dot(in.q.row(t) + head * kLayout.key,
                                     in.keys.row(p) + kvHead * kLayout.key, kLayout.key));
        values.push_back(widen(in.values.row(p) + kvHead * kLayout.value, kLayout.value));
      }
      for (double x : attend(scores, values))
        expected.push_back(x);
    }
  return expected;
}

TEST(Attention, MatchesALoopOverAPageBorder) {
  int64_t tokens = kPageTokens + 3;
  KvInput in{sample({tokens, 4, 3}, 1), sample({tokens, 2, 3}, 2), sample({tokens, 2, 5}, 3)};
  StepBatch batch = batchOf({{0, static_cast<int32_t>(tokens), {5, 2}}});
  PagedCache cache(kLayout.heads * (kLayout.key + kLayout.value));
  ASSERT_TRUE(kvAppend(cache, in.keys, in.values, batch).ok());
  expectFloats(*attention(in.q, cache, kLayout, batch, {0.5}, {2}), {tokens, 4, 5},
               expectedAttention(in, 0.5), 1e-5);
}

/// Runs `input` as one sequence, cut at the borders of `pieces`, beside `others` tokens of another
/// one.
Tensor runInPieces(const KvInput &in, const std::vector<int32_t> &pieces, int32_t others) {
  PagedCache cache(kLayout.heads * (kLayout.key + kLayout.value));
  std::vector<Tensor> results;
  int32_t position = 0, otherPosition = 0;
  for (int32_t size : pieces) {
    StepBatch batch = batchOf({{otherPosition, others, {7}}, {position, size, {3, 1}}});
    auto rowsOf = [&](const Tensor &x) {
      Tensor noise = sample({others, x.dim(1), x.dim(2)}, position);
      Tensor mine = sliceRows(x, position, position + size);
      return *concat({&noise, &mine}, 0);
    };
    EXPECT_TRUE(kvAppend(cache, rowsOf(in.keys), rowsOf(in.values), batch).ok());
    Tensor all = *attention(rowsOf(in.q), cache, kLayout, batch, {0.5}, {});
    results.push_back(sliceRows(all, others, others + size));
    position += size;
    otherPosition += others;
  }
  std::vector<const Tensor *> parts;
  for (const Tensor &result : results)
    parts.push_back(&result);
  return *concat(parts, 0);
}

TEST(Attention, BatchesAndChunksChangeNothing) {
  KvInput in{sample({70, 4, 3}, 1), sample({70, 2, 3}, 2), sample({70, 2, 5}, 3)};
  Tensor whole = runInPieces(in, {70}, 0);
  expectSame(runInPieces(in, {30, 1, 1, 33, 5}, 0), whole);
  expectSame(runInPieces(in, {64, 6}, 9), whole);
}

/// `in` with a window and, if `sinks` is not empty, a sink for each query head.
std::vector<double> expectedWeighed(const KvInput &in, double scale, int64_t window,
                                    const std::vector<double> &sinks) {
  std::vector<double> expected;
  for (int64_t t = 0; t < in.q.rows(); ++t)
    for (int64_t head = 0; head < in.q.dim(1); ++head) {
      const int64_t kvHead = head * kLayout.heads / in.q.dim(1);
      // A sink is a position whose value is zero.
      std::vector<double> scores;
      std::vector<std::vector<double>> values;
      if (!sinks.empty()) {
        scores.push_back(sinks[static_cast<size_t>(head)]);
        values.emplace_back(kLayout.value, 0.0);
      }
      for (int64_t p = 0; p <= t; ++p) {
        if (t - p >= window)
          continue;
        scores.push_back(scale * dot(in.q.row(t) + head * kLayout.key,
                                     in.keys.row(p) + kvHead * kLayout.key, kLayout.key));
        values.push_back(widen(in.values.row(p) + kvHead * kLayout.value, kLayout.value));
      }
      for (double x : attend(scores, values))
        expected.push_back(x);
    }
  return expected;
}

/// Sinks far below, among and far above the scores.
const std::vector<double> kSinks = {-20, -0.5, 0.75, 4};

TEST(Attention, WindowsAndSinksMatchALoop) {
  const int64_t tokens = kPageTokens + 9;
  KvInput in{sample({tokens, 4, 3}, 1), sample({tokens, 2, 3}, 2), sample({tokens, 2, 5}, 3)};
  StepBatch batch = batchOf({{0, static_cast<int32_t>(tokens), {5, 2}}});
  PagedCache cache(kLayout.heads * (kLayout.key + kLayout.value));
  ASSERT_TRUE(kvAppend(cache, in.keys, in.values, batch).ok());
  const Tensor sinks({4}, std::vector<float>(kSinks.begin(), kSinks.end()));
  // One's own position alone, a few, a page, more than there are.
  for (int64_t window : {int64_t{1}, int64_t{7}, kPageTokens, tokens + 1}) {
    SCOPED_TRACE(window);
    expectFloats(*attention(in.q, cache, kLayout, batch, {0.5, window}, {2}), {tokens, 4, 5},
                 expectedWeighed(in, 0.5, window, {}), 1e-5);
    expectFloats(*attention(in.q, cache, kLayout, batch, {0.5, window, &sinks}, {2}),
                 {tokens, 4, 5}, expectedWeighed(in, 0.5, window, kSinks), 1e-5);
  }
}

TEST(Attention, ASinkTakesWeightFromTheOnlyPosition) {
  // By hand: the score is 2 * 0.5 = 1 and the sink log(3), so the weight is e / (e + 3).
  PagedCache cache(2);
  StepBatch batch = batchOf({{0, 1, {0}}});
  ASSERT_TRUE(kvAppend(cache, Tensor({1, 1, 1}, std::vector<float>{2}),
                       Tensor({1, 1, 1}, std::vector<float>{10}), batch)
                  .ok());
  const Tensor sink({1}, std::vector<float>{1.0986123f});
  const Weighing weighing{.scale = 0.5, .sinks = &sink};
  expectFloats(
      *attention(Tensor({1, 1, 1}, std::vector<float>{1}), cache, {1, 1, 1}, batch, weighing, {}),
      {1, 1, 1}, {10 * 2.718281828 / (2.718281828 + 3)}, 1e-5);
}

TEST(Attention, RefusesWhatWasNeverWritten) {
  PagedCache cache(kLayout.heads * (kLayout.key + kLayout.value));
  KvInput in{sample({2, 4, 3}, 1), sample({2, 2, 3}, 2), sample({2, 2, 5}, 3)};
  StepBatch batch = batchOf({{3, 2, {0}}}); // positions 0 to 2 are missing
  ASSERT_TRUE(kvAppend(cache, in.keys, in.values, batch).ok());
  EXPECT_THAT(attention(in.q, cache, kLayout, batch, {1}, {}).status().ToString(),
              HasSubstr("position 0 of the sequence that starts at token 0"));
  EXPECT_THAT(kvAppend(cache, in.keys, in.values, batchOf({{0, 3, {0}}})).ToString(),
              HasSubstr("first has 2 rows, expected 3"));
}

TEST(Batches, ImpossibleOnesAreRefused) {
  StepBatch noRoom = batchOf({{64, 1, {0}}});
  EXPECT_THAT(sequencesOf(noRoom).status().ToString(), HasSubstr("the page table has no room"));
  StepBatch gap = batchOf({{0, 2, {0}}});
  gap.positions[1] = 5;
  EXPECT_THAT(sequencesOf(gap).status().ToString(), HasSubstr("position 5, expected 1"));
  StepBatch noPage = batchOf({{0, 2, {-1}}});
  EXPECT_THAT(sequencesOf(noPage).status().ToString(), HasSubstr("which is -1"));
  StepBatch stranger = batchOf({{0, 1, {0}}});
  stranger.sequence[0] = 1;
  EXPECT_FALSE(sequencesOf(stranger).ok());
  StepBatch negative = batchOf({{-1, 1, {0}}});
  EXPECT_THAT(sequencesOf(negative).status().ToString(), HasSubstr("has position -1"));
}

struct MlaInput {
  Tensor q, qRope, latent, kRope, up;
};

constexpr MlaLayout kMla{.latent = 4, .rope = 2};

/// Expanded multi-head latent attention of one sequence: nope 3, value 5, two heads.
std::vector<double> expectedMla(const MlaInput &in, double scale) {
  std::vector<double> expected;
  for (int64_t t = 0; t < in.q.rows(); ++t)
    for (int64_t head = 0; head < 2; ++head) {
      std::vector<double> scores;
      std::vector<std::vector<double>> values;
      for (int64_t p = 0; p <= t; ++p) {
        double score = dot(in.qRope.row(t) + head * 2, in.kRope.row(p), 2);
        for (int64_t i = 0; i < 3; ++i)
          score += in.q.row(t)[head * 3 + i] * dot(in.up.row(head * 8 + i), in.latent.row(p), 4);
        scores.push_back(scale * score);
        std::vector<double> &value = values.emplace_back();
        for (int64_t i = 3; i < 8; ++i)
          value.push_back(dot(in.up.row(head * 8 + i), in.latent.row(p), 4));
      }
      for (double x : attend(scores, values))
        expected.push_back(x);
    }
  return expected;
}

MlaInput mlaInput(int64_t tokens) {
  return {sample({tokens, 2, 3}, 1), sample({tokens, 2, 2}, 2), sample({tokens, 4}, 3),
          sample({tokens, 2}, 4), sample({16, 4}, 5)};
}

TEST(MlaAttention, ExpandedMatchesALoop) {
  MlaInput in = mlaInput(70);
  StepBatch batch = batchOf({{0, 70, {1, 0}}});
  PagedCache cache(6);
  ASSERT_TRUE(kvAppend(cache, in.latent, in.kRope, batch).ok());
  expectFloats(*mlaAttention(in.q, in.qRope, cache, kMla, &in.up, batch, 0.3, {2}), {70, 2, 5},
               expectedMla(in, 0.3), 1e-5);
}

TEST(MlaAttention, AbsorbedIsExpandedBetweenTwoProjections) {
  MlaInput in = mlaInput(9);
  StepBatch batch = batchOf({{0, 9, {0}}});
  PagedCache cache(6);
  ASSERT_TRUE(kvAppend(cache, in.latent, in.kRope, batch).ok());
  Tensor byHead = Tensor(in.up).reshaped({2, 8, 4});
  std::vector<Tensor> parts = split(byHead, 1, {3, 5}); // keys, values
  Tensor q = headLinear(in.q, transpose(parts[0], {0, 2, 1}), {});
  Tensor mean = *mlaAttention(q, in.qRope, cache, kMla, nullptr, batch, 0.3, {});
  EXPECT_EQ(mean.shape(), (Shape{9, 2, 4}));
  expectFloats(headLinear(mean, parts[1], {}), {9, 2, 5}, expectedMla(in, 0.3), 1e-5);
}

TEST(Attention, AnEmptyBatchGivesNothing) {
  StepBatch batch = batchOf({});
  PagedCache cache(16);
  EXPECT_TRUE(kvAppend(cache, Tensor::floats({0, 2, 3}), Tensor::floats({0, 2, 5}), batch).ok());
  EXPECT_EQ(attention(Tensor::floats({0, 4, 3}), cache, kLayout, batch, {1}, {})->shape(),
            (Shape{0, 4, 5}));
}

} // namespace
} // namespace epigraph::reference
