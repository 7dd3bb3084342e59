// Fused row groups against expressions written as loops.
#include <cmath>

#include "codegen/reference/Dense.h"
#include "runtime/base/BFloat16.h"
#include "test/codegen/cpu/KernelHarness.h"

namespace epigraph::cpu::test {
namespace {

using RowKernelTest = KernelTest;
EPIGRAPH_INSTANTIATE_KERNEL_TEST(RowKernelTest);

const KernelStep kNoStep = {};

/// `ir` with the size of a row in place of `$N`.
std::string withColumns(std::string ir, int64_t columns) {
  for (size_t at; (at = ir.find("$N")) != std::string::npos;)
    ir.replace(at, 2, std::to_string(columns));
  return ir;
}

constexpr char kAddRmsNorm[] = R"(
  exec.kernel @add_rms_norm_0(%x: tensor<?x$Nx$T>, %a: tensor<?x$Nx$T>, %w: tensor<$Nx$T>)
      -> (tensor<?x$Nx$T>, tensor<?x$Nx$T>) {
    %sum = epi.add %x, %a : tensor<?x$Nx$T>
    %norm = epi.rms_norm %sum, %w {eps = 1.0e-6 : f64} : tensor<?x$Nx$T>, tensor<$Nx$T>
    exec.yield %sum, %norm : tensor<?x$Nx$T>, tensor<?x$Nx$T>
  })";

/// Runs the kernel above on random rows.
void addAndNormalise(const Kernel &kernel, ElementType type, int64_t rows, int64_t columns) {
  SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns));
  const Tensor x = randomTensor({rows, columns}, type, 1),
               a = randomTensor({rows, columns}, type, 2);
  const Tensor w = randomTensor({columns}, type, 3);
  Buffer xBuffer(type, x), aBuffer(type, a), wBuffer(type, w);
  Buffer sum(type, rows * columns), norm(type, rows * columns);
  kernel.run({xBuffer.data(), aBuffer.data(), wBuffer.data(), sum.data(), norm.data()}, kNoStep,
             rows);
  Tensor expected = *reference::add(x, a);
  if (type == ElementType::BF16)
    expected = reference::roundToBFloat16(expected);
  // A single rounded addition: exact.
  EXPECT_EQ(sum.read({rows, columns}).floatVector(), expected.floatVector());
  expectClose(norm.read({rows, columns}), reference::rmsNorm(expected, w, 1e-6), type);
}

TEST_P(RowKernelTest, NormalisesRowsOfEverySize) {
  // One element, the widths of vectors and their neighbours, the sizes of a small and a large
  // model.
  for (int64_t columns : {1, 7, 8, 15, 16, 17, 33, 192, 2048})
    addAndNormalise(compile(withColumns(kAddRmsNorm, columns)), type, 3, columns);
}

TEST_P(RowKernelTest, NormalisesEveryNumberOfRows) {
  Kernel kernel = compile(withColumns(kAddRmsNorm, 40));
  // One row, a tile of the launch and its neighbours, several tiles.
  for (int64_t rows : {1, 7, 8, 9, 20})
    addAndNormalise(kernel, type, rows, 40);
}

TEST_P(RowKernelTest, ComputesSwigluOfTwoHalves) {
  // An inner size that is no multiple of a vector: the halves are not aligned to each other.
  const int64_t rows = 9, inner = 43;
  Kernel kernel = compile(R"(
    exec.kernel @swiglu_0(%x: tensor<?x86x$T>) -> tensor<?x43x$T> {
      %g, %u = epi.split %x dim 1 : tensor<?x86x$T> to tensor<?x43x$T>, tensor<?x43x$T>
      %s = epi.silu %g : tensor<?x43x$T>
      %y = epi.mul %s, %u : tensor<?x43x$T>
      exec.yield %y : tensor<?x43x$T>
    })");
  Tensor x = random({rows, 2 * inner}, 1);
  // The ends of exp's range, where it must saturate and not wrap around.
  const float extremes[] = {-1000, -90, -87, -20, 0, 20, 88, 90, 1000};
  std::copy(std::begin(extremes), std::end(extremes), x.row(0));
  Buffer xBuffer = buffer(x), y = poison({rows, inner});
  kernel.run({xBuffer.data(), y.data()}, kNoStep, rows);
  const Tensor rounded = xBuffer.read({rows, 2 * inner}), actual = y.read({rows, inner});
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < inner; ++i) {
      const double gate = rounded.row(row)[i], up = rounded.row(row)[inner + i];
      double silu = gate / (1 + std::exp(-gate));
      if (type == ElementType::BF16)
        silu = floatOfBFloat16(bfloat16OfFloat(static_cast<float>(silu)));
      const double expected = silu * up;
      const double tolerance = type == ElementType::BF16 ? 1.0 / 128 : 1e-6;
      ASSERT_NEAR(actual.row(row)[i], expected, tolerance * std::abs(expected) + 1e-30)
          << "gate " << gate << " up " << up;
    }
}

TEST_P(RowKernelTest, RoundsToNearestEven) {
  const std::vector<float> values = {
      1.0f,  1.00390625f, 1.01171875f,   1.003906369f,    -1.00390625f, 0.0f,
      -0.0f, 3.4e38f,     3.3961775e38f, 1.17549435e-38f, INFINITY,     -INFINITY};
  const int64_t columns = static_cast<int64_t>(values.size());
  Kernel kernel = compile(R"(
    exec.kernel @cast_0(%x: tensor<?x12xf32>) -> tensor<?x12xbf16> {
      %y = epi.cast %x : tensor<?x12xf32> to tensor<?x12xbf16>
      exec.yield %y : tensor<?x12xbf16>
    })");
  Buffer x(ElementType::F32, Tensor({1, columns}, std::vector<float>(values)));
  Buffer y(ElementType::BF16, columns);
  kernel.run({x.data(), y.data()}, kNoStep, 1);
  const Tensor actual = y.read({1, columns});
  for (int64_t i = 0; i < columns; ++i)
    EXPECT_EQ(actual.data()[i], floatOfBFloat16(bfloat16OfFloat(values[i]))) << values[i];
}

TEST_P(RowKernelTest, KeepsANan) {
  Kernel kernel = compile(R"(
    exec.kernel @cast_0(%x: tensor<?x17xf32>) -> tensor<?x17xbf16> {
      %y = epi.cast %x : tensor<?x17xf32> to tensor<?x17xbf16>
      exec.yield %y : tensor<?x17xbf16>
    })");
  std::vector<float> values(17, NAN);
  Buffer x(ElementType::F32, Tensor({1, 17}, std::move(values)));
  Buffer y(ElementType::BF16, Tensor::floats({1, 17}));
  kernel.run({x.data(), y.data()}, kNoStep, 1);
  const Tensor actual = y.read({1, 17});
  for (float value : actual.floatVector())
    EXPECT_TRUE(std::isnan(value));
}

TEST_P(RowKernelTest, JoinsNormalisedParts) {
  // The input of an MTP layer: two norms beside each other, of sizes that do not align.
  const int64_t rows = 10, first = 19, second = 37;
  Kernel kernel = compile(R"(
    exec.kernel @concat_0(%a: tensor<?x19x$T>, %b: tensor<?x37x$T>, %wa: tensor<19x$T>, %wb: tensor<37x$T>)
        -> tensor<?x56x$T> {
      %0 = epi.rms_norm %a, %wa {eps = 1.0e-5 : f64} : tensor<?x19x$T>, tensor<19x$T>
      %1 = epi.rms_norm %b, %wb {eps = 1.0e-5 : f64} : tensor<?x37x$T>, tensor<37x$T>
      %y = epi.concat %0, %1 dim 1 : tensor<?x19x$T>, tensor<?x37x$T> to tensor<?x56x$T>
      exec.yield %y : tensor<?x56x$T>
    })");
  const Tensor a = random({rows, first}, 1), b = random({rows, second}, 2);
  const Tensor wa = random({first}, 3), wb = random({second}, 4);
  Buffer aBuffer = buffer(a), bBuffer = buffer(b), waBuffer = buffer(wa), wbBuffer = buffer(wb);
  Buffer y = poison({rows, first + second});
  kernel.run({aBuffer.data(), bBuffer.data(), waBuffer.data(), wbBuffer.data(), y.data()}, kNoStep,
             rows);
  const Tensor normA = reference::rmsNorm(a, wa, 1e-5), normB = reference::rmsNorm(b, wb, 1e-5);
  Tensor expected = Tensor::floats({rows, first + second});
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(normA.row(row), first, expected.row(row));
    std::copy_n(normB.row(row), second, expected.row(row) + first);
  }
  expectClose(y.read({rows, first + second}), expected, type);
}

TEST_P(RowKernelTest, CopiesPartsOfHeads) {
  // Views that a collective or a return needs as they are: runs that repeat with the heads, taken
  // apart and put together in another order along an inner dimension, then flattened.
  const int64_t rows = 3, heads = 5;
  Kernel kernel = compile(R"(
    exec.kernel @concat_0(%x: tensor<?x115x$T>) -> (tensor<?x45x$T>, tensor<?x5x23x$T>) {
      %0 = epi.reshape %x : tensor<?x115x$T> to tensor<?x5x23x$T>
      %1, %2 = epi.split %0 dim 2 : tensor<?x5x23x$T> to tensor<?x5x14x$T>, tensor<?x5x9x$T>
      %flat = epi.reshape %2 : tensor<?x5x9x$T> to tensor<?x45x$T>
      %swapped = epi.concat %2, %1 dim 2 : tensor<?x5x9x$T>, tensor<?x5x14x$T> to tensor<?x5x23x$T>
      exec.yield %flat, %swapped : tensor<?x45x$T>, tensor<?x5x23x$T>
    })");
  const Tensor x = random({rows, heads * 23}, 1);
  Buffer xBuffer = buffer(x), flat = poison({rows, 45}), swapped = poison({rows, 115});
  kernel.run({xBuffer.data(), flat.data(), swapped.data()}, kNoStep, rows);
  const Tensor flatResult = flat.read({rows, 45}), swappedResult = swapped.read({rows, 115});
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t i = 0; i < 23; ++i) {
        const float value = x.row(row)[head * 23 + i];
        const int64_t to = i < 14 ? i + 9 : i - 14;
        ASSERT_EQ(swappedResult.row(row)[head * 23 + to], value);
        if (i >= 14)
          ASSERT_EQ(flatResult.row(row)[head * 9 + i - 14], value);
      }
}

TEST_P(RowKernelTest, SplitsWhatItComputes) {
  const int64_t rows = 4, columns = 50;
  Kernel kernel = compile(R"(
    exec.kernel @split_0(%x: tensor<?x50x$T>, %y: tensor<?x50x$T>) -> (tensor<?x20x$T>, tensor<?x30x$T>) {
      %0 = epi.add %x, %y : tensor<?x50x$T>
      %1, %2 = epi.split %0 dim 1 : tensor<?x50x$T> to tensor<?x20x$T>, tensor<?x30x$T>
      exec.yield %1, %2 : tensor<?x20x$T>, tensor<?x30x$T>
    })");
  const Tensor x = random({rows, columns}, 1), y = random({rows, columns}, 2);
  Buffer xBuffer = buffer(x), yBuffer = buffer(y), a = poison({rows, 20}), b = poison({rows, 30});
  kernel.run({xBuffer.data(), yBuffer.data(), a.data(), b.data()}, kNoStep, rows);
  Tensor sum = *reference::add(x, y);
  if (type == ElementType::BF16)
    sum = reference::roundToBFloat16(sum);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < columns; ++i)
      ASSERT_EQ(i < 20 ? a.read({rows, 20}).row(row)[i] : b.read({rows, 30}).row(row)[i - 20],
                sum.row(row)[i]);
}

} // namespace
} // namespace epigraph::cpu::test
