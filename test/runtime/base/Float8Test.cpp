#include "runtime/base/Float8.h"

#include <gtest/gtest.h>

namespace epigraph {
namespace {

TEST(Float8, DecodesNumbersOfTheFormat) {
  EXPECT_EQ(floatOfFloat8(0x00), 0.0f);
  EXPECT_EQ(floatOfFloat8(0x01), 0x1p-9f);     // the least subnormal
  EXPECT_EQ(floatOfFloat8(0x07), 7 * 0x1p-9f); // the largest
  EXPECT_EQ(floatOfFloat8(0x08), 0x1p-6f);     // the least normal
  EXPECT_EQ(floatOfFloat8(0x38), 1.0f);
  EXPECT_EQ(floatOfFloat8(0x7e), 448.0f);
  EXPECT_EQ(floatOfFloat8(0xfe), -448.0f);
  EXPECT_TRUE(std::signbit(floatOfFloat8(0x80)));
  EXPECT_TRUE(std::isnan(floatOfFloat8(0x7f)));
  EXPECT_TRUE(std::isnan(floatOfFloat8(0xff)));
}

TEST(Float8, KeepsEveryValue) {
  for (int bits = 0; bits < 256; ++bits)
    EXPECT_EQ(float8OfFloat(floatOfFloat8(static_cast<uint8_t>(bits))), bits) << bits;
}

TEST(Float8, RoundsToTheNearest) {
  for (int code = 0; code < 0x7e; ++code) {
    const auto low = static_cast<uint8_t>(code), high = static_cast<uint8_t>(code + 1);
    const float below = floatOfFloat8(low), above = floatOfFloat8(high);
    const float middle = (below + above) / 2;
    EXPECT_EQ(float8OfFloat(middle), code % 2 ? high : low) << code; // ties to even
    EXPECT_EQ(float8OfFloat(std::nextafter(middle, 0.0f)), low) << code;
    EXPECT_EQ(float8OfFloat(std::nextafter(middle, 1e9f)), high) << code;
    EXPECT_EQ(float8OfFloat(-middle), (code % 2 ? high : low) | 0x80) << code;
  }
}

TEST(Float8, HoldsWhatIsTooLargeToTheLargest) {
  for (float value : {448.0f, 464.0f, 1e9f, std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(float8OfFloat(value), 0x7e) << value;
    EXPECT_EQ(float8OfFloat(-value), 0xfe) << value;
  }
}

} // namespace
} // namespace epigraph
