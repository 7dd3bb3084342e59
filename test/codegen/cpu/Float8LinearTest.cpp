// Projections by FP8 weights against the reference's, which multiplies weights by their scales
// first.
#include "test/codegen/cpu/ReferenceComparison.h"

#include "llvm/Support/MathExtras.h"

namespace epigraph::cpu::test {
namespace {

using Float8LinearTest = KernelTest;
EPIGRAPH_INSTANTIATE_KERNEL_TEST(Float8LinearTest);

std::string text(int64_t number) { return std::to_string(number); }

/// The marks $N, $K, and $A and $B for the blocks along them.
std::vector<std::pair<std::string, std::string>> sizes(int64_t n, int64_t k) {
  return {{"$N", text(n)},
          {"$K", text(k)},
          {"$A", text(llvm::divideCeil(n, 128))},
          {"$B", text(llvm::divideCeil(k, 128))}};
}

TEST_P(Float8LinearTest, AgreesWithTheReference) {
  const char *ir = R"(
    exec.kernel @linear_0(%x: tensor<?x$Kx$T>,
                          %w: tensor<$Nx$Kxf8E4M3FN, #exec.panel<columns = 32, depth = 1>>,
                          %s: tensor<$Ax$Bxf32>) -> tensor<?x$Nx$T> {
      %y = epi.linear %x, %w scale %s
          : (tensor<?x$Kx$T>,
             tensor<$Nx$Kxf8E4M3FN, #exec.panel<columns = 32, depth = 1>> scale tensor<$Ax$Bxf32>)
            -> tensor<?x$Nx$T>
      exec.yield %y : tensor<?x$Nx$T>
    })";
  // N: one panel, its neighbours, several rows of blocks, the last one partial. K: one element,
  // odd, a block and its neighbours, several blocks, the last one partial.
  for (auto [n, k] : {std::pair<int64_t, int64_t>{32, 1},
                      {31, 7},
                      {33, 127},
                      {64, 128},
                      {96, 129},
                      {160, 256},
                      {300, 391}}) {
    SCOPED_TRACE("N " + text(n) + ", K " + text(k));
    expectAsReference(replaceMarks(ir, sizes(n, k)), target, type, {1, 2, 7, 8, 65});
  }
}

TEST_P(Float8LinearTest, GivesEachExpertItsOwnScales) {
  const char *ir = R"(
    exec.kernel @grouped_linear_0(%x: tensor<?x$Kx$T>, %counts: tensor<3xi32>,
                                  %w: tensor<3x$Nx$Kxf8E4M3FN, #exec.panel<columns = 32, depth = 1>>,
                                  %s: tensor<3x$Ax$Bxf32>) -> tensor<?x$Nx$T> {
      %y = epi.grouped_linear %x, %counts, %w scale %s
          : (tensor<?x$Kx$T>, tensor<3xi32>,
             tensor<3x$Nx$Kxf8E4M3FN, #exec.panel<columns = 32, depth = 1>> scale tensor<3x$Ax$Bxf32>)
            -> tensor<?x$Nx$T>
      exec.yield %y : tensor<?x$Nx$T>
    })";
  const Tensor counts({3}, std::vector<int32_t>{9, 0, 3});
  for (auto [n, k] : {std::pair<int64_t, int64_t>{40, 20}, {200, 300}}) {
    SCOPED_TRACE("N " + text(n) + ", K " + text(k));
    expectAsReference(replaceMarks(ir, sizes(n, k)), target, type, {12}, {{1, counts}});
  }
}

/// Each value of the format, zeros and the smallest included, times a scale of one.
TEST_P(Float8LinearTest, ReadsEveryValueExactly) {
  Kernel kernel = compile(R"(
    exec.kernel @linear_0(%x: tensor<?x1x$T>,
                          %w: tensor<254x1xf8E4M3FN, #exec.panel<columns = 32, depth = 1>>,
                          %s: tensor<2x1xf32>) -> tensor<?x254xf32> {
      %y = epi.linear %x, %w scale %s
          : (tensor<?x1x$T>,
             tensor<254x1xf8E4M3FN, #exec.panel<columns = 32, depth = 1>> scale tensor<2x1xf32>)
            -> tensor<?x254xf32>
      exec.yield %y : tensor<?x254xf32>
    })");
  Tensor values = Tensor::floats({254, 1});
  for (int64_t i = 0; i < 127; ++i) {
    const int64_t exponent = i / 8, mantissa = i % 8;
    const double value = exponent ? std::ldexp(8.0 + mantissa, static_cast<int>(exponent) - 10)
                                  : std::ldexp(mantissa, -9);
    values.data()[i] = static_cast<float>(value);
    values.data()[127 + i] = static_cast<float>(-value);
  }
  const Tensor one({1, 1}, std::vector<float>{1}), scales({2, 1}, std::vector<float>{1, 1});
  Buffer x = buffer(one), w(ElementType::F8, pack(values, ElementType::F8)),
         s(ElementType::F32, scales), y(ElementType::F32, 254);
  kernel.run({x.data(), w.data(), s.data(), y.data()}, KernelStep{}, 1);
  EXPECT_EQ(y.read({254, 1}).floatVector(), values.floatVector());
}

TEST(Float8Linear, RefusesQuantizedActivations) {
  llvm::Expected<CpuTarget> target = parseCpuTarget("cpu:x86-64-v3");
  ASSERT_TRUE(static_cast<bool>(target));
  EXPECT_THAT(diagnose(R"(
        exec.kernel @linear_0(%x: tensor<?x64xf8E4M3FN>, %xs: tensor<?x1xf32>,
                              %w: tensor<32x64xf8E4M3FN, #exec.panel<columns = 32, depth = 1>>,
                              %ws: tensor<1x1xf32>) -> tensor<?x32xbf16> {
          %y = epi.linear %x scale %xs, %w scale %ws
              : (tensor<?x64xf8E4M3FN> scale tensor<?x1xf32>,
                 tensor<32x64xf8E4M3FN, #exec.panel<columns = 32, depth = 1>> scale tensor<1x1xf32>)
                -> tensor<?x32xbf16>
          exec.yield %y : tensor<?x32xbf16>
        })",
                       *target),
              ::testing::HasSubstr("multiplies FP8 weights by wide activations only"));
}

} // namespace
} // namespace epigraph::cpu::test
