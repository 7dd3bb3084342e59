// Projections against the reference's, and bit for bit against themselves in other batches.
#include "codegen/reference/Dense.h"
#include "codegen/reference/Experts.h"
#include "test/codegen/cpu/KernelHarness.h"

namespace epigraph::cpu::test {
namespace {

using LinearKernelTest = KernelTest;
EPIGRAPH_INSTANTIATE_KERNEL_TEST(LinearKernelTest);

const reference::Workers kWorkers;
const KernelStep kNoStep = {};

std::string text(int64_t number) { return std::to_string(number); }

std::string linearIr(int64_t n, int64_t k, const std::string &result = "$T") {
  const std::string x = "tensor<?x" + text(k) + "x$T>",
                    y = "tensor<?x" + text(n) + "x" + result + ">";
  const std::string w =
      "tensor<" + text(n) + "x" + text(k) + "x$T, #exec.panel<columns = 32, depth = $D>>";
  return "exec.kernel @linear_0(%x: " + x + ", %w: " + w + ") -> " + y + " {\n" +
         "  %y = epi.linear %x, %w : (" + x + ", " + w + ") -> " + y + "\n" +
         "  exec.yield %y : " + y + "\n}\n";
}

struct LinearShape {
  int64_t rows, n, k;
};

TEST_P(LinearKernelTest, AgreesWithTheReference) {
  // Rows: 1, the heights of register tiles and their neighbours, more than one tile of the launch.
  // Columns: one panel, its neighbours, a last panel of each kind. K: one element, odd, no multiple
  // of the unrolled step.
  for (auto [rows, n, k] : {LinearShape{1, 32, 64},
                            {2, 32, 8},
                            {3, 31, 7},
                            {7, 33, 1},
                            {8, 64, 9},
                            {9, 47, 64},
                            {15, 1, 33},
                            {16, 96, 16},
                            {65, 40, 24},
                            {129, 176, 192}}) {
    SCOPED_TRACE(text(rows) + " rows, N " + text(n) + ", K " + text(k));
    const Tensor x = random({rows, k}, 1), w = random({n, k}, 2);
    Kernel kernel = compile(linearIr(n, k));
    Buffer xBuffer = buffer(x), wBuffer = buffer(pack(w, type)), y = poison({rows, n});
    kernel.run({xBuffer.data(), wBuffer.data(), y.data()}, kNoStep, rows);
    expectClose(y.read({rows, n}), reference::linear(x, w, kWorkers), type);
  }
}

TEST_P(LinearKernelTest, KeepsFloat32Results) {
  const int64_t rows = 5, n = 40, k = 96;
  const Tensor x = random({rows, k}, 1), w = random({n, k}, 2);
  Kernel kernel = compile(linearIr(n, k, "f32"));
  Buffer xBuffer = buffer(x), wBuffer = buffer(pack(w, type)), y(ElementType::F32, rows * n);
  kernel.run({xBuffer.data(), wBuffer.data(), y.data()}, kNoStep, rows);
  expectClose(y.read({rows, n}), reference::linear(x, w, kWorkers), ElementType::F32);
}

TEST_P(LinearKernelTest, GivesARowTheSameBitsInEveryBatch) {
  const int64_t rows = 77, n = 72, k = 131;
  const Tensor x = random({rows, k}, 1);
  Kernel kernel = compile(linearIr(n, k));
  Buffer xBuffer = buffer(x), wBuffer = buffer(pack(random({n, k}, 2), type)),
         y = poison({rows, n});
  kernel.run({xBuffer.data(), wBuffer.data(), y.data()}, kNoStep, rows);
  const Tensor together = y.read({rows, n});
  for (int64_t row = 0; row < rows; ++row) {
    Buffer alone = buffer(rowsOf(x, row, row + 1)), result = poison({n});
    kernel.run({alone.data(), wBuffer.data(), result.data()}, kNoStep, 1);
    ASSERT_EQ(result.read({n}).floatVector(), rowsOf(together, row, row + 1).floatVector())
        << "row " << row;
  }
}

TEST_P(LinearKernelTest, ReadsAPartOfWiderRowsInPlace) {
  const int64_t rows = 11, n = 33, k = 24, before = 5, after = 3;
  const Tensor wide = random({rows, before + k + after}, 1), w = random({n, k}, 2);
  Kernel kernel = compile(R"(
    exec.kernel @linear_0(%x: tensor<?x32x$T>,
                          %w: tensor<33x24x$T, #exec.panel<columns = 32, depth = $D>>)
        -> tensor<?x33x$T> {
      %0, %1, %2 = epi.split %x dim 1
          : tensor<?x32x$T> to tensor<?x5x$T>, tensor<?x24x$T>, tensor<?x3x$T>
      %y = epi.linear %1, %w
          : (tensor<?x24x$T>, tensor<33x24x$T, #exec.panel<columns = 32, depth = $D>>) -> tensor<?x33x$T>
      exec.yield %y : tensor<?x33x$T>
    })");
  Tensor x = Tensor::floats({rows, k});
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(wide.row(row) + before, k, x.row(row));
  Buffer xBuffer = buffer(wide), wBuffer = buffer(pack(w, type)), y = poison({rows, n});
  kernel.run({xBuffer.data(), wBuffer.data(), y.data()}, kNoStep, rows);
  expectClose(y.read({rows, n}), reference::linear(x, w, kWorkers), type);
}

TEST_P(LinearKernelTest, MultipliesEachHeadByItsOwnWeight) {
  // The heads' parts of wider heads, as absorbed latent attention reads them; K odd; N no multiple
  // of 32.
  const int64_t rows = 10, heads = 3, n = 40, k = 13, wide = 20;
  const Tensor x = random({rows, heads, wide}, 1), w = random({heads, n, k}, 2);
  Kernel kernel = compile(R"(
    exec.kernel @head_linear_0(%x: tensor<?x60x$T>,
                               %w: tensor<3x40x13x$T, #exec.panel<columns = 32, depth = $D>>)
        -> tensor<?x3x40x$T> {
      %0 = epi.reshape %x : tensor<?x60x$T> to tensor<?x3x20x$T>
      %1, %2 = epi.split %0 dim 2 : tensor<?x3x20x$T> to tensor<?x3x7x$T>, tensor<?x3x13x$T>
      %y = epi.head_linear %2, %w
          : (tensor<?x3x13x$T>, tensor<3x40x13x$T, #exec.panel<columns = 32, depth = $D>>)
            -> tensor<?x3x40x$T>
      exec.yield %y : tensor<?x3x40x$T>
    })");
  Tensor part = Tensor::floats({rows, heads, k});
  for (int64_t i = 0; i < rows * heads; ++i)
    std::copy_n(x.data() + i * wide + (wide - k), k, part.data() + i * k);
  Buffer xBuffer = buffer(x), wBuffer = buffer(pack(w, type)), y = poison({rows, heads, n});
  kernel.run({xBuffer.data(), wBuffer.data(), y.data()}, kNoStep, rows);
  expectClose(y.read({rows, heads, n}), reference::headLinear(part, w, kWorkers), type);
}

TEST_P(LinearKernelTest, MultipliesEachGroupOfRowsByItsExpert) {
  const int64_t experts = 4, n = 48, k = 20;
  const Tensor w = random({experts, n, k}, 2);
  Kernel kernel = compile(R"(
    exec.kernel @grouped_linear_0(%x: tensor<?x20x$T>, %counts: tensor<4xi32>,
                                  %w: tensor<4x48x20x$T, #exec.panel<columns = 32, depth = $D>>)
        -> tensor<?x48x$T> {
      %y = epi.grouped_linear %x, %counts, %w
          : (tensor<?x20x$T>, tensor<4xi32>, tensor<4x48x20x$T, #exec.panel<columns = 32, depth = $D>>)
            -> tensor<?x48x$T>
      exec.yield %y : tensor<?x48x$T>
    })");
  // Even; the first, last and all but one expert empty; one expert of many tiles; nothing at all.
  for (const std::vector<int32_t> &counts : {std::vector<int32_t>{3, 3, 3, 3},
                                             {0, 5, 1, 0},
                                             {0, 0, 17, 0},
                                             {1, 70, 2, 9},
                                             {0, 0, 0, 0}}) {
    int64_t rows = 0;
    for (int32_t count : counts)
      rows += count;
    const Tensor x = random({rows, k}, 1), sizes({experts}, counts);
    Buffer xBuffer = buffer(x), countBuffer(ElementType::I32, sizes);
    Buffer wBuffer = buffer(pack(w, type)), y = poison({rows, n});
    kernel.run({xBuffer.data(), countBuffer.data(), wBuffer.data(), y.data()}, kNoStep, rows);
    expectClose(y.read({rows, n}),
                *reference::groupedLinear(x, sizes, w, /*bias=*/nullptr, kWorkers), type);
  }
}

} // namespace
} // namespace epigraph::cpu::test
