// Routing against cases worked out by hand; experts against a loop in double.
#include "codegen/reference/Experts.h"
#include "test/codegen/reference/Samples.h"

#include <algorithm>

namespace epigraph::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(Route, SoftmaxTakesTheBestInFallingOrder) {
  Tensor logits = floats({1, 4}, {0.f, 2.f, 1.f, -1.f});
  Routing found = *route(logits, nullptr, {.score = Score::Softmax, .topK = 2});
  double sum = 1 + std::exp(2.0) + std::exp(1.0) + std::exp(-1.0);
  EXPECT_THAT(found.ids.intVector(), ElementsAre(1, 2));
  expectFloats(found.weights, {1, 2}, {std::exp(2.0) / sum, std::exp(1.0) / sum});
}

TEST(Route, TheBiasMovesTheChoiceAndNotTheWeight) {
  Tensor logits = floats({1, 3}, {0.f, 1.f, 2.f}), bias = floats({3}, {2.f, 0.f, 0.f});
  Routing found = *route(logits, &bias, {.normalize = true, .topK = 2, .scale = 2.5});
  double sum = sigmoid(0) + sigmoid(2);
  EXPECT_THAT(found.ids.intVector(), ElementsAre(0, 2));
  expectFloats(found.weights, {1, 2}, {2.5 * sigmoid(0) / sum, 2.5 * sigmoid(2) / sum});
}

TEST(Route, TheLowerIdWinsATie) {
  Tensor logits = floats({1, 4}, {1.f, 3.f, 3.f, 1.f});
  EXPECT_THAT(route(logits, nullptr, {.topK = 3})->ids.intVector(), ElementsAre(1, 2, 0));
}

TEST(Route, OnlyTheBestGroupsTakePart) {
  // Groups {0,1} {2,3} {4,5}: best of one 5, 4, 3; sums of two best 5.1, 7, 6 before the sigmoid.
  Tensor logits = floats({1, 6}, {5.f, -9.f, 3.f, 4.f, 3.f, 3.f});
  RouteOptions options{.topK = 2, .groups = 3, .topGroups = 1};
  EXPECT_THAT(route(logits, nullptr, options)->ids.intVector(), ElementsAre(3, 2));
  options.groupScoreTop2 = false;
  EXPECT_THAT(route(logits, nullptr, options)->ids.intVector(), ElementsAre(0, 1));
}

TEST(Route, NegativeChoicesOfAKeptGroupComeBeforeDroppedGroups) {
  Tensor logits = floats({1, 4}, {0.f, 0.f, 0.f, 0.f}),
         bias = floats({4}, {-3.f, -4.f, -5.f, -6.f});
  RouteOptions options{.topK = 2, .groups = 2, .topGroups = 1};
  EXPECT_THAT(route(logits, &bias, options)->ids.intVector(), ElementsAre(0, 1));
}

TEST(Route, TakesScoresAsTheyAre) {
  Tensor scores = floats({1, 4}, {0.1f, 0.5f, -0.25f, 0.3f}),
         bias = floats({4}, {0.f, 0.f, 1.f, 0.f});
  Routing found = *route(scores, &bias, {.score = Score::Identity, .topK = 2, .scale = 2});
  EXPECT_THAT(found.ids.intVector(), ElementsAre(2, 1));
  expectFloats(found.weights, {1, 2}, {-0.5, 1});
}

TEST(Route, RefusesWhatIsNoNumber) {
  Tensor logits = floats({2, 2}, {0.f, 1.f, 0.f, NAN});
  EXPECT_THAT(route(logits, nullptr, {}).status().ToString(), HasSubstr("row 1"));
}

/// The row of each (token, j), by expert, as a person would sort it.
TEST(Permute, OrdersByExpertThenTokenThenJ) {
  Tensor x = floats({3, 1}, {10.f, 20.f, 30.f});
  Tensor ids = ints({3, 2}, {2, 0, 2, 3, 0, 2});
  Permutation found = *permute(x, ids, 5);
  EXPECT_THAT(found.counts.intVector(), ElementsAre(2, 0, 3, 1, 0)); // experts 1 and 4 are empty
  expectFloats(found.rows, {6, 1}, {10, 30, 10, 20, 30, 20});
  EXPECT_THAT(found.slots.intVector(), ElementsAre(2, 0, 3, 5, 1, 4));
  EXPECT_THAT(permute(x, ids, 3).status().ToString(), HasSubstr("asks for expert 3 of 3"));
}

TEST(Permute, OneExpertMayGetEverything) {
  Tensor ids = ints({3, 1}, {1, 1, 1});
  Permutation found = *permute(sample({3, 4}, 1), ids, 2);
  EXPECT_THAT(found.counts.intVector(), ElementsAre(0, 3));
  expectSame(found.rows, sample({3, 4}, 1));
}

TEST(Unpermute, AddsUpByWeight) {
  Tensor rows = floats({3, 2}, {1.f, 2.f, 10.f, 20.f, 100.f, 200.f});
  Tensor slots = ints({2, 2}, {2, 0, 1, 1}), weights = floats({2, 2}, {0.5f, 2.f, 1.f, 3.f});
  expectFloats(*unpermute(rows, slots, weights), {2, 2}, {52, 104, 40, 80});
  Tensor beyond = ints({2, 2}, {3, 0, 1, 1});
  EXPECT_THAT(unpermute(rows, beyond, weights).status().ToString(), HasSubstr("slot 3 of 3"));
}

TEST(GroupedLinear, MultipliesEachGroupByItsExpert) {
  Tensor x = floats({4, 1}, {1.f, 2.f, 3.f, 4.f}), w = floats({3, 1, 1}, {10.f, 100.f, 1000.f});
  Tensor found = *groupedLinear(x, ints({3}, {1, 0, 2}), w, nullptr, {});
  std::vector<float> counted(found.data(), found.data() + 3);
  EXPECT_THAT(counted, ElementsAre(10.f, 2000.f, 3000.f));
  EXPECT_TRUE(std::isnan(found.data()[3])); // no group: who reads it is found out
  Tensor tooMany = ints({3}, {3, 0, 2});
  EXPECT_THAT(groupedLinear(x, tooMany, w, nullptr, {}).status().ToString(),
              HasSubstr("expert 2 counts 2"));
}

TEST(GroupedLinear, AddsTheBiasOfTheExpert) {
  Tensor x = floats({3, 1}, {1.f, 2.f, 3.f}), w = floats({2, 2, 1}, {10.f, 20.f, 30.f, 40.f});
  Tensor bias = floats({2, 2}, {0.1f, 0.2f, 0.3f, 0.4f});
  expectFloats(*groupedLinear(x, ints({2}, {2, 1}), w, &bias, {}), {3, 2},
               {10.1, 20.2, 20.1, 40.2, 90.3, 120.4}, 1e-5);
}

/// Against a loop in double over the tokens; with biases and a clamp where `gptOss` says so.
void compareExperts(bool gptOss) {
  constexpr int64_t tokens = 7, hidden = 6, inner = 5, topK = 2;
  Tensor x = sample({tokens, hidden}, 1), weights = sample({tokens, topK}, 2);
  Tensor gate = sample({3, inner, hidden}, 3), up = sample({3, inner, hidden}, 4);
  Tensor down = sample({3, hidden, inner}, 5);
  Tensor ids = ints({tokens, topK}, {0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 0, 2, 2, 0});
  Tensor gateBias = sample({3, inner}, 6), upBias = sample({3, inner}, 7);
  Tensor downBias = sample({3, hidden}, 8);
  const double limit = 0.4, alpha = 1.702; // some values are to each side of the limit
  std::vector<double> expected(tokens * hidden, 0.0);
  auto times = [](const Tensor &w, int64_t expert, int64_t n, auto input, int64_t depth) {
    double sum = 0;
    for (int64_t k = 0; k < depth; ++k)
      sum += static_cast<double>(w.row(expert)[n * depth + k]) * input[k];
    return sum;
  };
  for (int64_t i = 0; i < tokens * topK; ++i) {
    int64_t t = i / topK, expert = ids.intData()[i];
    std::vector<double> middle;
    for (int64_t n = 0; n < inner; ++n) {
      double gated = times(gate, expert, n, x.row(t), hidden);
      double upward = times(up, expert, n, x.row(t), hidden);
      if (!gptOss) {
        middle.push_back(gated * sigmoid(gated) * upward);
        continue;
      }
      gated = std::min(gated + gateBias.row(expert)[n], limit);
      upward = std::clamp(upward + upBias.row(expert)[n], -limit, limit);
      middle.push_back((upward + 1) * gated * sigmoid(alpha * gated));
    }
    for (int64_t n = 0; n < hidden; ++n)
      expected[static_cast<size_t>(t * hidden + n)] +=
          weights.data()[i] *
          (times(down, expert, n, middle.data(), inner) + (gptOss ? downBias.row(expert)[n] : 0));
  }
  ExpertWeights network{gate, up, down};
  if (gptOss) {
    network.gateBias = &gateBias;
    network.upBias = &upBias;
    network.downBias = &downBias;
    network.clamp = SwigluClamp{alpha, limit};
  }
  expectFloats(*experts(x, ids, weights, network, {}), {tokens, hidden}, expected, 1e-5);
}

TEST(Experts, MatchALoopOverTokens) { compareExperts(/*gptOss=*/false); }

TEST(Experts, HaveBiasesAndAClampedGate) { compareExperts(/*gptOss=*/true); }

} // namespace
} // namespace epigraph::reference
