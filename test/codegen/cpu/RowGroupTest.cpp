// Groups of elementwise operations and row reductions, as fusion forms them, against the reference.
#include "test/codegen/cpu/ReferenceComparison.h"

namespace epigraph::cpu::test {
namespace {

class RowGroupTest : public KernelTest {
protected:
  /// One row, and two tiles of the launch of which the second is not full.
  void expectLikeReference(const std::string &ir) const {
    expectAsReference(ir, target, type, {1, 11});
  }
};
EPIGRAPH_INSTANTIATE_KERNEL_TEST(RowGroupTest);

TEST_P(RowGroupTest, VectorsMeetEveryRow) {
  // No multiple of a vector; the cast of the bias is part of the group.
  expectLikeReference(R"(
    exec.kernel @add_0(%x: tensor<?x43x$T>, %scale: tensor<43x$T>, %bias: tensor<43xf32>) -> tensor<?x43xbf16> {
      %0 = epi.mul %x, %scale : tensor<?x43x$T>, tensor<43x$T>
      %1 = epi.cast %bias : tensor<43xf32> to tensor<43x$T>
      %2 = epi.add %0, %1 : tensor<?x43x$T>, tensor<43x$T>
      %3 = epi.cast %2 : tensor<?x43x$T> to tensor<?x43xbf16>
      exec.yield %3 : tensor<?x43xbf16>
    })");
}

TEST_P(RowGroupTest, VectorsMeetEveryHead) {
  // The bias of a fused projection: one part of it for each head of one part of x.
  expectLikeReference(R"(
    exec.kernel @add_0(%x: tensor<?x80x$T>, %b: tensor<36x$T>) -> (tensor<?x5x13x$T>, tensor<?x15x$T>) {
      %bk, %bq, %bv = epi.split %b dim 0 : tensor<36x$T> to tensor<8x$T>, tensor<13x$T>, tensor<15x$T>
      %q, %v = epi.split %x dim 1 : tensor<?x80x$T> to tensor<?x65x$T>, tensor<?x15x$T>
      %heads = epi.reshape %q : tensor<?x65x$T> to tensor<?x5x13x$T>
      %0 = epi.add %heads, %bq : tensor<?x5x13x$T>, tensor<13x$T>
      %1 = epi.add %v, %bv : tensor<?x15x$T>, tensor<15x$T>
      exec.yield %0, %1 : tensor<?x5x13x$T>, tensor<?x15x$T>
    })");
}

TEST_P(RowGroupTest, OneValueMeetsAWholeRow) {
  // The gate of a shared expert: sigmoid of one logit, added to what the routed experts gave.
  expectLikeReference(R"(
    exec.kernel @gate_0(%x: tensor<?x37x$T>, %g: tensor<?x1x$T>, %y: tensor<?x37x$T>) -> tensor<?x37x$T> {
      %0 = epi.sigmoid %g : tensor<?x1x$T>
      %1 = epi.mul %x, %0 : tensor<?x37x$T>, tensor<?x1x$T>
      %2 = epi.add %1, %y : tensor<?x37x$T>
      exec.yield %2 : tensor<?x37x$T>
    })");
}

TEST_P(RowGroupTest, SquashesOneColumn) {
  expectLikeReference(R"(
    exec.kernel @sigmoid_0(%x: tensor<?x1x$T>) -> tensor<?x1x$T> {
      %0 = epi.sigmoid %x : tensor<?x1x$T>
      exec.yield %0 : tensor<?x1x$T>
    })");
}

TEST_P(RowGroupTest, NormalisesRowsToASumOfOne) {
  // One element, the widths of vectors and their neighbours, many.
  for (const char *columns : {"1", "7", "8", "17", "61", "200"})
    expectLikeReference(replaceMarks(R"(
      exec.kernel @softmax_0(%x: tensor<?x$Nx$T>) -> (tensor<?x$Nx$T>, tensor<?x$Nx$T>) {
        %0 = epi.softmax %x : tensor<?x$Nx$T>
        %1 = epi.mul %0, %x : tensor<?x$Nx$T>
        exec.yield %0, %1 : tensor<?x$Nx$T>, tensor<?x$Nx$T>
      })",
                                     {{"$N", columns}}));
}

TEST_P(RowGroupTest, SoftmaxTakesTheMaximumOff) {
  Kernel kernel = compile(R"(
    exec.kernel @softmax_0(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
      %0 = epi.softmax %x : tensor<?x4xf32>
      exec.yield %0 : tensor<?x4xf32>
    })");
  Buffer x(ElementType::F32, Tensor({1, 4}, std::vector<float>{1000, 1001, -1000, 1000}));
  Buffer y(ElementType::F32, 4);
  kernel.run({x.data(), y.data()}, KernelStep{}, 1);
  const double sum = 2 + std::exp(1.0);
  expectClose(y.read({4}),
              Tensor({4}, std::vector<float>{static_cast<float>(1 / sum),
                                             static_cast<float>(std::exp(1.0) / sum), 0,
                                             static_cast<float>(1 / sum)}),
              ElementType::F32);
}

TEST_P(RowGroupTest, GatesWithAClamp) {
  // Values to both sides of the limit; the halves of one projection, and two tensors.
  expectLikeReference(R"(
    exec.kernel @clamped_swiglu_0(%x: tensor<?x86x$T>, %u: tensor<?x43x$T>) -> (tensor<?x43x$T>, tensor<?x43x$T>) {
      %a, %b = epi.split %x dim 1 : tensor<?x86x$T> to tensor<?x43x$T>, tensor<?x43x$T>
      %0 = epi.clamped_swiglu %a, %b {clamp = #epi.clamp<alpha = 1.702, limit = 0.5>} : tensor<?x43x$T>
      %1 = epi.clamped_swiglu %b, %u {clamp = #epi.clamp<alpha = 0.7, limit = 7.0>} : tensor<?x43x$T>
      exec.yield %0, %1 : tensor<?x43x$T>, tensor<?x43x$T>
    })");
}

TEST_P(RowGroupTest, NormalisesEachHeadByItself) {
  // Queries and keys of a fused projection, of one head, of few elements, of no multiple of a
  // vector; heads as they are and flattened.
  for (auto [heads, columns] : {std::pair<int64_t, int64_t>{5, 23}, {1, 40}, {4, 64}, {3, 1}}) {
    const std::string flat = std::to_string(heads * columns);
    expectLikeReference(replaceMarks(R"(
      exec.kernel @qk_norm_0(%x: tensor<?x$Ax$T>, %wq: tensor<$Cx$T>, %wk: tensor<$Cx$T>)
          -> (tensor<?x$Hx$Cx$T>, tensor<?x$Fx$T>) {
        %q, %k, %rest = epi.split %x dim 1
            : tensor<?x$Ax$T> to tensor<?x$Fx$T>, tensor<?x$Fx$T>, tensor<?x3x$T>
        %0 = epi.reshape %q : tensor<?x$Fx$T> to tensor<?x$Hx$Cx$T>
        %1 = epi.rms_norm %0, %wq {eps = 1.0e-6 : f64} : tensor<?x$Hx$Cx$T>, tensor<$Cx$T>
        %2 = epi.reshape %k : tensor<?x$Fx$T> to tensor<?x$Hx$Cx$T>
        %3 = epi.rms_norm %2, %wk {eps = 1.0e-5 : f64} : tensor<?x$Hx$Cx$T>, tensor<$Cx$T>
        %4 = epi.reshape %3 : tensor<?x$Hx$Cx$T> to tensor<?x$Fx$T>
        exec.yield %1, %4 : tensor<?x$Hx$Cx$T>, tensor<?x$Fx$T>
      })",
                                     {{"$A", std::to_string(2 * heads * columns + 3)},
                                      {"$H", std::to_string(heads)},
                                      {"$C", std::to_string(columns)},
                                      {"$F", flat}}));
  }
}

TEST_P(RowGroupTest, NormalisesHeadsPutTogetherFromParts) {
  // Each head is joined from two parts of other tensors, so that no run is a whole head.
  expectLikeReference(R"(
    exec.kernel @norm_0(%a: tensor<?x20x$T>, %b: tensor<?x4x9x$T>, %w: tensor<14x$T>) -> tensor<?x4x14x$T> {
      %0 = epi.reshape %a : tensor<?x20x$T> to tensor<?x4x5x$T>
      %1 = epi.concat %0, %b dim 2 : tensor<?x4x5x$T>, tensor<?x4x9x$T> to tensor<?x4x14x$T>
      %2 = epi.rms_norm %1, %w {eps = 1.0e-6 : f64} : tensor<?x4x14x$T>, tensor<14x$T>
      exec.yield %2 : tensor<?x4x14x$T>
    })");
}

TEST_P(RowGroupTest, ReducesWhatIsReducedAlready) {
  // A residual, its norm, a gate on that, another norm in float32: reductions over reductions.
  expectLikeReference(R"(
    exec.kernel @group_0(%x: tensor<?x50x$T>, %a: tensor<?x50x$T>, %g: tensor<?x1xf32>, %w: tensor<50x$T>,
                         %v: tensor<50xf32>, %bias: tensor<50x$T>) -> (tensor<?x50x$T>, tensor<?x50xf32>, tensor<?x50xf32>) {
      %sum = epi.add %x, %a : tensor<?x50x$T>
      %biased = epi.add %sum, %bias : tensor<?x50x$T>, tensor<50x$T>
      %norm = epi.rms_norm %biased, %w {eps = 1.0e-6 : f64} : tensor<?x50x$T>, tensor<50x$T>
      %wide = epi.cast %norm : tensor<?x50x$T> to tensor<?x50xf32>
      %gate = epi.sigmoid %g : tensor<?x1xf32>
      %gated = epi.mul %wide, %gate : tensor<?x50xf32>, tensor<?x1xf32>
      %again = epi.rms_norm %gated, %v {eps = 1.0e-6 : f64} : tensor<?x50xf32>, tensor<50xf32>
      %share = epi.softmax %again : tensor<?x50xf32>
      exec.yield %biased, %again, %share : tensor<?x50x$T>, tensor<?x50xf32>, tensor<?x50xf32>
    })");
}

TEST_P(RowGroupTest, ComputesASharedValueOnce) {
  // 2^30 paths lead to x: what is traced or emitted for each of them does not end.
  std::string ir = "exec.kernel @mul_0(%v0: tensor<?x9x$T>) -> tensor<?x9x$T> {\n";
  for (int i = 0; i < 30; ++i)
    ir += "  %v" + std::to_string(i + 1) + " = epi.mul %v" + std::to_string(i) + ", %v" +
          std::to_string(i) + " : tensor<?x9x$T>\n";
  expectLikeReference(ir + "  exec.yield %v30 : tensor<?x9x$T>\n}\n");
}

TEST(RowGroupDiagnosticsTest, RefusesAnOperandWithoutRows) {
  llvm::Expected<CpuTarget> target = parseCpuTarget("cpu:x86-64-v3");
  ASSERT_TRUE(static_cast<bool>(target));
  EXPECT_THAT(diagnose(R"(
    exec.kernel @cast_0(%w: tensor<8xf32>) -> tensor<8xbf16> {
      %0 = epi.cast %w : tensor<8xf32> to tensor<8xbf16>
      exec.yield %0 : tensor<8xbf16>
    })",
                       *target),
              ::testing::HasSubstr("make it part of the weight program"));
}

} // namespace
} // namespace epigraph::cpu::test
