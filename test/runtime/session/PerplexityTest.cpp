#include "runtime/session/Perplexity.h"

#include <cmath>
#include <random>

#include "runtime/session/Likelihood.h"
#include "runtime/session/Session.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/session/ToyModel.h"

namespace epigraph {
namespace {

/// -log softmax by its definition, in long double.
double plainLoss(const std::vector<float> &logits, int32_t id) {
  long double sum = 0;
  for (const float logit : logits)
    sum += std::exp(static_cast<long double>(logit));
  return static_cast<double>(std::log(sum) -
                             static_cast<long double>(logits[static_cast<size_t>(id)]));
}

TEST(Perplexity, ScoresEveryTokenOfEveryCompleteWindow) {
  ToyModel model(toyInfo());
  Session session(model);
  constexpr int32_t kWindow = 70, kBos = 4;
  std::vector<int32_t> text;
  for (unsigned i = 0; i < 3 * kWindow + 33; ++i)
    text.push_back(static_cast<int32_t>(i * i % 29));

  std::vector<double> windows;
  double sum = 0;
  for (size_t first = 0; first + kWindow <= text.size(); first += kWindow) {
    std::vector<int32_t> history{kBos};
    double windowSum = 0;
    for (size_t i = 0; i < kWindow; ++i) {
      windowSum += plainLoss(toyLogits(history, 29), text[first + i]);
      history.push_back(text[first + i]);
    }
    windows.push_back(windowSum / kWindow);
    sum += windowSum;
  }
  int64_t last = 0;
  const absl::StatusOr<PerplexityReport> report =
      session.perplexity(text, kBos, kWindow, [&](int64_t done, int64_t total) {
        EXPECT_EQ(total, 3 * kWindow);
        EXPECT_EQ(done, last + 1);
        last = done;
      });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->tokens, 3 * kWindow);
  EXPECT_EQ(last, 3 * kWindow);
  ASSERT_EQ(report->windowNll.size(), 3u);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(report->windowNll[i], windows[i], 1e-12);
  EXPECT_NEAR(report->nll, sum / (3 * kWindow), 1e-12);
  EXPECT_NEAR(report->perplexity, std::exp(sum / (3 * kWindow)), 1e-11);
}

TEST(Perplexity, AWindowAsLongAsTheContext) {
  ToyModel model(toyInfo());
  Session session(model);
  EXPECT_TRUE(session.perplexity(std::vector<int32_t>(200, 1), 0, 200).ok());
  expectError(session.perplexity(std::vector<int32_t>(201, 1), 0, 201),
              absl::StatusCode::kOutOfRange, "context of 200");
}

TEST(Perplexity, Refusals) {
  ToyModel model(toyInfo());
  Session session(model);
  expectError(session.perplexity({1, 2, 3}, 0, 4), absl::StatusCode::kInvalidArgument,
              "the text has 3 tokens, less than one window of 4");
  expectError(session.perplexity({}, 0, 1), absl::StatusCode::kInvalidArgument, "--window");
  expectError(session.perplexity({1, 2}, 0, 0), absl::StatusCode::kInvalidArgument, "window of 0");
  expectError(session.perplexity({1, 31}, 0, 2), absl::StatusCode::kInvalidArgument,
              "token 31 is outside the vocabulary");
  expectError(session.score({1}), absl::StatusCode::kInvalidArgument, "at least two tokens");
  model.breaksLogits = true;
  expectError(session.score({1, 2}), absl::StatusCode::kDataLoss, "sequence 1, position 0");
}

TEST(Likelihood, GreedyTakesTheLowestOfTies) {
  EXPECT_EQ(*greedyToken({1, 3, 2, 3}), 1);
  EXPECT_EQ(*greedyToken({-INFINITY, -INFINITY}), 0);
  EXPECT_EQ(*greedyToken({0, INFINITY}), 1);
  EXPECT_FALSE(greedyToken({1, NAN}).ok());
  EXPECT_FALSE(greedyToken({NAN, 1}).ok());
  EXPECT_FALSE(greedyToken({}).ok());
}

TEST(Likelihood, LargeLogitsDoNotOverflow) {
  EXPECT_NEAR(*negativeLogLikelihood({1e4f, 1e4f}, 0), std::log(2.0), 1e-12);
  EXPECT_NEAR(*negativeLogLikelihood({-1e4f, 0}, 0), 1e4, 1e-9);
  EXPECT_NEAR(*negativeLogLikelihood({0, 0, 0, 0}, 3), std::log(4.0), 1e-12);
}

} // namespace
} // namespace epigraph
