// Quantization by blocks against numbers worked out by hand.
#include "codegen/reference/Quantization.h"
#include "test/codegen/reference/Samples.h"

#include <cmath>

namespace epigraph::reference {
namespace {

TEST(Dequantize, TakesTheScaleOfEachBlock) {
  // Blocks of 2x3 in a matrix of 3x4: the last row and column of blocks are partial.
  Tensor x = floats({3, 4}, {1.f, 2.f, 3.f, 4.f, 5.f, 6.f, 7.f, 8.f, 9.f, 10.f, 11.f, 12.f});
  Tensor scales = floats({2, 2}, {1.f, 10.f, 100.f, 1000.f});
  expectFloats(dequantize(x, scales, {2, 3}), {3, 4},
               {1, 2, 3, 40, 5, 6, 7, 80, 900, 1000, 1100, 12000});
}

TEST(Dequantize, GivesEachMatrixOfAStackItsOwnScales) {
  Tensor x = floats({2, 2, 1}, {1.f, 2.f, 3.f, 4.f});
  Tensor scales = floats({2, 1, 1}, {10.f, 100.f});
  expectFloats(dequantize(x, scales, {128, 128}), {2, 2, 1}, {10, 20, 300, 400});
}

TEST(Quantize, ScalesEachBlockByItsLargestMagnitude) {
  Tensor x = floats({2, 3}, {224.f, -448.f, 7.f, 1.f, 1.f, -28.f});
  Quantized result = quantize(x, 2, 1e-4f, 448);
  expectFloats(result.scales, {2, 2}, {1, 7.0 / 448, 1.0 / 448, 28.0 / 448});
  expectFloats(result.values, {2, 3}, {224, -448, 448, 448, 448, -448});
}

TEST(Quantize, RoundsToTheFormat) {
  // With a scale of 1, 17 lies between 16 and 18 of three bits of mantissa: even is 16.
  Quantized result = quantize(floats({1, 4}, {448.f, 17.f, 19.f, 300.f}), 128, 1e-4f, 448);
  expectFloats(result.values, {1, 4}, {448, 16, 20, 288});
}

TEST(Quantize, DoesNotDivideByZero) {
  Quantized result = quantize(floats({1, 3}, {0.f, 1e-6f, -0.f}), 128, 1e-4f, 448);
  expectFloats(result.scales, {1, 1}, {1e-4 / 448});
  EXPECT_EQ(result.values.data()[0], 0.0f);
  EXPECT_NEAR(result.values.data()[1], 4.48f, 0.25f);
}

TEST(Quantize, LosesNoMoreThanTheFormatDoes) {
  Tensor x = sample({5, 300}, 7);
  Quantized result = quantize(x, 128, 1e-4f, 448);
  Tensor back = dequantize(result.values, result.scales, {1, 128});
  for (int64_t i = 0; i < x.elements(); ++i) {
    const float least = result.scales.row(i / 300)[i % 300 / 128] * 0x1p-10f;
    EXPECT_NEAR(back.data()[i], x.data()[i], std::max(std::fabs(x.data()[i]) / 16, least) * 1.001f);
  }
}

} // namespace
} // namespace epigraph::reference
