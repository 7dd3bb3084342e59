// Choosing tokens, against numbers worked out by hand.
#include "codegen/reference/Sampling.h"
#include "test/codegen/reference/Samples.h"

#include <limits>

namespace epigraph::reference {
namespace {

using Columns = std::vector<int32_t>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(Sample, FindsTheLargest) {
  EXPECT_EQ(sample(floats({2, 3}, {1.f, 3.f, 2.f, -5.f, -7.f, -6.f}), {})->intVector(),
            Columns({1, 0}));
  EXPECT_EQ(sample(floats({1, 1}, {-3.f}), {})->intVector(), Columns({0}));
  EXPECT_EQ(sample(Tensor::floats({0, 4}), {})->rows(), 0);
}

TEST(Sample, TheFirstOfEqualOnesWins) {
  EXPECT_EQ(sample(floats({2, 4}, {1.f, 2.f, 2.f, 2.f, -0.f, 0.f, 0.f, -0.f}), {})->intVector(),
            Columns({1, 0}));
}

TEST(Sample, InfinitiesAreNumbersAndNaNIsNone) {
  Tensor x = floats({4, 2}, {-kInfinity, -kInfinity, 0.f, kInfinity, kInfinity, kNaN, kNaN, 0.f});
  EXPECT_EQ(sample(x, {})->intVector(), Columns({0, 1, -1, -1}));
}

TEST(Sample, EachRowIsChosenInItsOwnWay) {
  const Tensor x = floats({2, 3}, {1.f, 1.5f, 0.5f, 1.f, 1.5f, 0.5f});
  SamplingRow drawn;
  drawn.scale = 1;
  drawn.reach = -kInfinity;
  Columns seen;
  for (drawn.key = 0; drawn.key < 100; ++drawn.key) {
    const Columns columns = sample(x, {SamplingRow(), drawn})->intVector();
    EXPECT_EQ(columns[0], 1);
    EXPECT_EQ(columns[1], chooseToken({1.f, 1.5f, 0.5f}, drawn));
    seen.push_back(columns[1]);
  }
  for (const int32_t column : {0, 1, 2})
    EXPECT_GT(std::count(seen.begin(), seen.end(), column), 5) << column;
  EXPECT_FALSE(sample(x, {drawn}).ok());
}

} // namespace
} // namespace epigraph::reference
