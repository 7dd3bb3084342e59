#include "runtime/base/Sampling.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/base/BFloat16.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace epigraph {
namespace {

using testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Draws at `temperature`; no filter.
SamplingRow drawAt(float temperature) {
  SamplingRow how;
  how.scale = 1 / temperature;
  how.reach = -kInfinity;
  return how;
}

uint32_t shareOf(double p) { return static_cast<uint32_t>(std::lround(p * 0x1p32)); }

std::vector<float> randomRow(size_t size, unsigned seed, float spread) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> row(size);
  std::generate(row.begin(), row.end(), [&] { return normal(random); });
  return row;
}

/// How often each token is drawn with `keys` keys.
std::vector<int> countDraws(const std::vector<float> &row, SamplingRow how, int keys) {
  std::vector<int> counts(row.size());
  for (int i = 0; i < keys; ++i) {
    how.key = randomBits(7, static_cast<uint64_t>(i));
    ++counts[static_cast<size_t>(chooseToken(row, how))];
  }
  return counts;
}

/// Sum over tokens of (found - expected)^2 / expected; `allowed` are drawn with the probabilities
/// of their softmax at `temperature`.
double chiSquare(const std::vector<int> &counts, const std::vector<float> &row, double temperature,
                 const std::set<size_t> &allowed) {
  double total = 0, sum = 0;
  for (const size_t id : allowed)
    total += std::exp(row[id] / temperature);
  const int draws = std::accumulate(counts.begin(), counts.end(), 0);
  for (const size_t id : allowed) {
    const double expected = draws * std::exp(row[id] / temperature) / total;
    sum += (counts[id] - expected) * (counts[id] - expected) / expected;
  }
  return sum;
}

TEST(Sampling, LogarithmsAreTheReal) {
  for (double x = 0x1p-33; x < 30; x *= 1.0003) {
    const float rounded = static_cast<float>(x);
    EXPECT_NEAR(samplingLog(rounded, rounded - 1), std::log(static_cast<double>(rounded)),
                3e-7 * std::fmax(1, std::fabs(std::log(x))))
        << x;
  }
  for (double rest = 0x1p-32; rest < 1; rest *= 1.0003) {
    const float rounded = -static_cast<float>(rest);
    const double expected = std::log1p(static_cast<double>(rounded));
    EXPECT_NEAR(samplingLog(1 + rounded, rounded) / expected, 1, 4e-7) << rest;
  }
}

TEST(Sampling, MassIsTheExponential) {
  EXPECT_EQ(samplingMass(0), 1u << kMassBits);
  for (double x = 0; x > -100; x -= 0.0137) {
    const float rounded = static_cast<float>(x);
    const double expected = std::exp(static_cast<double>(rounded)) * (1 << kMassBits);
    EXPECT_NEAR(samplingMass(rounded), expected, 0.51 + expected * 3e-7) << x;
  }
  EXPECT_EQ(samplingMass(-kInfinity), 0u);
}

TEST(Sampling, NoiseHasItsBounds) {
  float least = kInfinity, most = -kInfinity;
  for (uint64_t id = 0; id < 1000000; ++id) {
    const float noise = samplingNoise(drawnFor(3, id));
    least = std::fmin(least, noise);
    most = std::fmax(most, noise);
  }
  // -ln(ln(10^6)), and ln(10^6).
  EXPECT_NEAR(least, -2.63, 0.2);
  EXPECT_NEAR(most, 13.8, 3);
  EXPECT_LT(-samplingLog(0x1p-32f, 0x1p-32f - 1), kMostNoise);
}

TEST(Sampling, WithoutATemperatureTheFirstOfTheLargestWins) {
  EXPECT_EQ(chooseToken({1, 3, 2, 3}, {}), 1);
  EXPECT_EQ(chooseToken({-0.f, 0.f}, {}), 0);
  EXPECT_EQ(chooseToken({-kInfinity, -kInfinity}, {}), 0);
  EXPECT_EQ(chooseToken({1, NAN, 2}, {}), -1);
}

TEST(Sampling, RowsThatAreNoDistribution) {
  const SamplingRow how = drawAt(1);
  EXPECT_EQ(chooseToken({1, NAN, 2}, how), -1);
  EXPECT_EQ(chooseToken({1, kInfinity, kInfinity}, how), 1);
  EXPECT_EQ(chooseToken({-kInfinity, -kInfinity}, how), 0);
  EXPECT_EQ(chooseToken({-kInfinity, 5, -kInfinity}, how), 1);
  EXPECT_EQ(chooseToken({-3e38f, 3e38f}, how), 1);
}

TEST(Sampling, TokensHaveTheirProbabilities) {
  const std::vector<float> row = randomRow(20, 1, 1.5f);
  std::set<size_t> all;
  for (size_t id = 0; id < row.size(); ++id)
    all.insert(id);
  // 19 degrees of freedom: beyond 45 in one of a thousand.
  for (const float temperature : {0.5f, 1.f, 2.f})
    EXPECT_LT(chiSquare(countDraws(row, drawAt(temperature), 40000), row, temperature, all), 45)
        << temperature;
}

TEST(Sampling, EachFilterKeepsItsTokens) {
  // Probabilities of 1/2, 1/4, 1/8, 1/16 and twice 1/32.
  const float step = std::log(2.f);
  const std::vector<float> row = {0, -step, -2 * step, -3 * step, -4 * step, -4 * step};
  const auto kept = [&](const SamplingRow &how) {
    const std::vector<int> counts = countDraws(row, how, 4000);
    std::set<size_t> ids;
    for (size_t id = 0; id < counts.size(); ++id)
      if (counts[id])
        ids.insert(id);
    EXPECT_LT(chiSquare(counts, row, 1, ids), 25);
    return ids.size();
  };
  SamplingRow how = drawAt(1);
  EXPECT_EQ(kept(how), 6u);
  how.topK = 5;
  EXPECT_EQ(kept(how), 5u);
  how.topK = 1000;
  EXPECT_EQ(kept(how), 6u);
  // The last of the tokens that are needed stays.
  how.topP = shareOf(0.74);
  EXPECT_EQ(kept(how), 2u);
  how.topP = shareOf(0.76);
  EXPECT_EQ(kept(how), 3u);
  how.topP = 1;
  EXPECT_EQ(kept(how), 1u);
  // Of what top-k leaves: the first has 2/3 of the first two.
  how.topK = 2;
  how.topP = shareOf(0.66);
  EXPECT_EQ(kept(how), 1u);
  how.topP = shareOf(0.68);
  EXPECT_EQ(kept(how), 2u);
  how = drawAt(1);
  how.reach = std::log(0.12f);
  EXPECT_EQ(kept(how), 4u);
  how.topP = shareOf(0.6);
  EXPECT_EQ(kept(how), 2u);
}

TEST(Sampling, OfEqualLogitsTheFirstAreKept) {
  const std::vector<float> row(100, 2.5f);
  SamplingRow how = drawAt(0.7f);
  how.topK = 3;
  std::set<int32_t> seen;
  for (how.key = 0; how.key < 200; ++how.key)
    seen.insert(chooseToken(row, how));
  EXPECT_THAT(seen, ElementsAre(0, 1, 2));
  how.topK = 0;
  how.topP = shareOf(0.0495);
  seen.clear();
  for (how.key = 0; how.key < 200; ++how.key)
    seen.insert(chooseToken(row, how));
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4));
}

TEST(Sampling, OneTokenKeptIsTheLargest) {
  const std::vector<float> row = randomRow(5000, 2, 3);
  const int32_t best = chooseToken(row, {});
  SamplingRow one = drawAt(1.3f), small = one, near = one;
  one.topK = 1;
  small.topP = 1;
  near.reach = 0;
  for (uint64_t key = 0; key < 50; ++key) {
    one.key = small.key = near.key = key;
    EXPECT_EQ(chooseToken(row, one), best);
    EXPECT_EQ(chooseToken(row, small), best);
    EXPECT_EQ(chooseToken(row, near), best);
  }
}

/// Logit `column` of a row of the goldens; see there.
float goldenLogit(uint64_t row, uint64_t column, bool isBFloat16) {
  const auto drawn = static_cast<uint32_t>(randomBits(row, column) >> 40);
  const float logit = static_cast<float>((drawn >> 12) * (drawn & 4095)) * 0x1p-20f - 4;
  return isBFloat16 ? floatOfBFloat16(bfloat16OfFloat(logit)) : logit;
}

/// Devices choose the same tokens (test/gpu/test_sample.py), and a text with a seed is to stay the
/// same. To add a line leave its tokens out, and take those that the failure names.
TEST(Sampling, Goldens) {
  std::ifstream goldens(EPIGRAPH_SOURCE_DIR "/test/goldens/sampling.csv");
  ASSERT_TRUE(goldens);
  int lines = 0;
  for (std::string line; std::getline(goldens, line);) {
    if (line.starts_with('#'))
      continue;
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    ASSERT_GE(fields.size(), 7u) << line;
    std::vector<float> row(std::stoul(fields[0]));
    for (size_t column = 0; column < row.size(); ++column)
      row[column] = goldenLogit(std::stoull(fields[2]), column, fields[1] == "bf16");
    SamplingRow how;
    how.scale = std::stof(fields[3]);
    how.reach = std::stof(fields[4]);
    how.topP = static_cast<uint32_t>(std::stoul(fields[5]));
    how.topK = std::stoi(fields[6]);
    std::vector<std::string> tokens;
    for (how.key = 0; how.key < 16; ++how.key)
      tokens.push_back(std::to_string(chooseToken(row, how)));
    EXPECT_EQ(absl::StrJoin(absl::MakeConstSpan(fields).subspan(7), ","),
              absl::StrJoin(tokens, ","))
        << line;
    ++lines;
  }
  EXPECT_EQ(lines, 126);
}

} // namespace
} // namespace epigraph
