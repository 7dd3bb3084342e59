// Choosing tokens, against numbers worked out by hand.
#include "codegen/reference/Sampling.h"
#include "test/codegen/reference/Samples.h"

#include <limits>

namespace epigraph::reference {
namespace {

using Columns = std::vector<int32_t>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(Argmax, FindsTheLargest) {
  EXPECT_EQ(argmax(floats({2, 3}, {1.f, 3.f, 2.f, -5.f, -7.f, -6.f})).intVector(), Columns({1, 0}));
  EXPECT_EQ(argmax(floats({1, 1}, {-3.f})).intVector(), Columns({0}));
  EXPECT_EQ(argmax(Tensor::floats({0, 4})).rows(), 0);
}

TEST(Argmax, TheFirstOfEqualOnesWins) {
  EXPECT_EQ(argmax(floats({2, 4}, {1.f, 2.f, 2.f, 2.f, -0.f, 0.f, 0.f, -0.f})).intVector(),
            Columns({1, 0}));
}

TEST(Argmax, InfinitiesAreNumbersAndNaNIsNone) {
  Tensor x = floats({4, 2}, {-kInfinity, -kInfinity, 0.f, kInfinity, kInfinity, kNaN, kNaN, 0.f});
  EXPECT_EQ(argmax(x).intVector(), Columns({0, 1, -1, -1}));
}

} // namespace
} // namespace epigraph::reference
