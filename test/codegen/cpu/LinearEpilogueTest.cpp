// Projections and what follows them in their kernel, against the reference.
#include "test/codegen/cpu/ReferenceComparison.h"

namespace epigraph::cpu::test {
namespace {

using ::testing::HasSubstr;

struct EpilogueCase {
  const char *what;
  const char *arguments; ///< of the kernel, after x and w
  const char *body;      ///< from %p, the product, to the values that are yielded
  const char *yielded, *types;
};

const EpilogueCase kCases[] = {
    {"a bias", ", %b: tensor<$Nx$T>", "%y = epi.add %p, %b : tensor<?x$Nx$T>, tensor<$Nx$T>", "%y",
     "tensor<?x$Nx$T>"},
    {"a bias, an activation and a product", ", %b: tensor<$Nx$T>, %u: tensor<?x$Nx$T>",
     R"(%0 = epi.add %p, %b : tensor<?x$Nx$T>, tensor<$Nx$T>
        %1 = epi.silu %0 : tensor<?x$Nx$T>
        %y = epi.mul %1, %u : tensor<?x$Nx$T>)",
     "%y", "tensor<?x$Nx$T>"},
    {"a residual on the left, in float32; both are wanted", ", %r: tensor<?x$Nxf32>",
     R"(%0 = epi.cast %p : tensor<?x$Nx$T> to tensor<?x$Nxf32>
        %y = epi.add %r, %0 : tensor<?x$Nxf32>)",
     "%y, %p", "tensor<?x$Nxf32>, tensor<?x$Nx$T>"},
    {"a gate for each row", ", %g: tensor<?x1x$T>, %r: tensor<?x$Nx$T>",
     R"(%0 = epi.sigmoid %g : tensor<?x1x$T>
        %1 = epi.mul %p, %0 : tensor<?x$Nx$T>, tensor<?x1x$T>
        %y = epi.add %1, %r : tensor<?x$Nx$T>)",
     "%y", "tensor<?x$Nx$T>"},
    {"a clamped gate by a part of wider rows", ", %u: tensor<?x100x$T>",
     R"(%0, %1, %2 = epi.split %u dim 1 : tensor<?x100x$T> to tensor<?x1x$T>, tensor<?x$Nx$T>, tensor<?x$Rx$T>
        %y = epi.clamped_swiglu %p, %1 {clamp = #epi.clamp<alpha = 1.702, limit = 0.5>} : tensor<?x$Nx$T>)",
     "%y", "tensor<?x$Nx$T>"},
};

class LinearEpilogueTest : public KernelTest {
protected:
  void expectLikeReference(const std::string &ir, std::vector<int64_t> rowCounts,
                           const GivenArguments &given = {}) const {
    expectAsReference(ir, target, type, std::move(rowCounts), given);
  }
};
EPIGRAPH_INSTANTIATE_KERNEL_TEST(LinearEpilogueTest);

TEST_P(LinearEpilogueTest, FollowsALinear) {
  // Columns: one alone; two panels and parts of one of every size of store.
  for (const EpilogueCase &c : kCases)
    for (int64_t n : {1, 75}) {
      SCOPED_TRACE(c.what);
      const std::string ir = std::string(R"(
        exec.kernel @linear_0(%x: tensor<?x13x$T>, %w: tensor<$Nx13x$T, #exec.panel<columns = 32, depth = $D>>)") +
                             c.arguments + ") -> (" + c.types + R"() {
          %p = epi.linear %x, %w
              : (tensor<?x13x$T>, tensor<$Nx13x$T, #exec.panel<columns = 32, depth = $D>>) -> tensor<?x$Nx$T>
          )" + c.body + "\n  exec.yield " +
                             c.yielded + " : " + c.types + "\n}\n";
      // Rows: each height of a register tile, a tile of the launch and its neighbour.
      expectLikeReference(
          replaceMarks(ir, {{"$N", std::to_string(n)}, {"$R", std::to_string(99 - n)}}),
          {1, 2, 15, 65});
    }
}

TEST_P(LinearEpilogueTest, FollowsAHeadLinear) {
  expectLikeReference(R"(
    exec.kernel @linear_0(%x: tensor<?x3x13x$T>, %w: tensor<3x40x13x$T, #exec.panel<columns = 32, depth = $D>>,
                          %b: tensor<40x$T>, %wide: tensor<?x3x47x$T>) -> tensor<?x3x40x$T> {
      %skipped, %r = epi.split %wide dim 2 : tensor<?x3x47x$T> to tensor<?x3x7x$T>, tensor<?x3x40x$T>
      %p = epi.head_linear %x, %w
          : (tensor<?x3x13x$T>, tensor<3x40x13x$T, #exec.panel<columns = 32, depth = $D>>) -> tensor<?x3x40x$T>
      %0 = epi.add %p, %b : tensor<?x3x40x$T>, tensor<40x$T>
      %1 = epi.add %0, %r : tensor<?x3x40x$T>
      exec.yield %1 : tensor<?x3x40x$T>
    })",
                      {1, 10});
}

TEST_P(LinearEpilogueTest, FollowsAGroupedLinearAndItsBias) {
  for (int64_t n : {48, 45}) {
    const std::string ir = replaceMarks(R"(
      exec.kernel @linear_0(%x: tensor<?x20x$T>, %counts: tensor<4xi32>,
                            %w: tensor<4x$Nx20x$T, #exec.panel<columns = 32, depth = $D>>, %b: tensor<4x$Nx$T>,
                            %u: tensor<?x$Nx$T>) -> tensor<?x$Nx$T> {
        %p = epi.grouped_linear %x, %counts, %w bias %b
            : (tensor<?x20x$T>, tensor<4xi32>, tensor<4x$Nx20x$T, #exec.panel<columns = 32, depth = $D>>)
              bias tensor<4x$Nx$T> -> tensor<?x$Nx$T>
        %0 = epi.silu %p : tensor<?x$Nx$T>
        %y = epi.mul %0, %u : tensor<?x$Nx$T>
        exec.yield %y : tensor<?x$Nx$T>
      })",
                                        {{"$N", std::to_string(n)}});
    // Even; some experts empty; more rows than the counts; nothing at all.
    for (const std::vector<int32_t> &counts :
         {std::vector<int32_t>{3, 3, 3, 3}, {0, 5, 7, 0}, {1, 2, 0, 2}, {0, 0, 0, 0}})
      expectLikeReference(ir, {12}, {{1, Tensor({4}, counts)}});
  }
}

TEST_P(LinearEpilogueTest, AddsABiasBeforeItRounds) {
  // 1 + 2^-9 rounds to 1 in bf16; with a bias of 2^-9 on it, it is the next number, 1 + 2^-7...
  // only if nothing was rounded in between: 1 + 2^-9 + 2^-8 + 2^-9 = 1 + 2^-7.
  Kernel kernel = compile(R"(
    exec.kernel @linear_0(%x: tensor<?x2xbf16>, %counts: tensor<1xi32>,
                          %w: tensor<1x1x2xbf16, #exec.panel<columns = 32, depth = 2>>, %b: tensor<1x1xf32>)
        -> tensor<?x1xbf16> {
      %p = epi.grouped_linear %x, %counts, %w bias %b
          : (tensor<?x2xbf16>, tensor<1xi32>, tensor<1x1x2xbf16, #exec.panel<columns = 32, depth = 2>>)
            bias tensor<1x1xf32> -> tensor<?x1xbf16>
      exec.yield %p : tensor<?x1xbf16>
    })");
  constexpr float tiny = 1.0f / 512;
  Buffer x(ElementType::BF16, Tensor({1, 2}, std::vector<float>{1, tiny}));
  Buffer counts(ElementType::I32, Tensor({1}, std::vector<int32_t>{1}));
  Buffer w(ElementType::BF16, pack(Tensor({1, 1, 2}, std::vector<float>{1, 1}), ElementType::BF16));
  Buffer b(ElementType::F32, Tensor({1, 1}, std::vector<float>{3 * tiny}));
  Buffer y(ElementType::BF16, 1);
  kernel.run({x.data(), counts.data(), w.data(), b.data(), y.data()}, KernelStep{}, 1);
  EXPECT_EQ(y.read({1}).data()[0], 1 + 4 * tiny);
}

std::string refusalOf(const std::string &body) {
  llvm::Expected<CpuTarget> target = parseCpuTarget("cpu:x86-64-v3");
  EXPECT_TRUE(static_cast<bool>(target));
  return diagnose(R"(
    exec.kernel @linear_0(%x: tensor<?x8xf32>, %w: tensor<4x8xf32, #exec.panel<columns = 32, depth = 1>>, %n: tensor<4xf32>,
                          %h: tensor<2xf32>) -> tensor<?x4xf32> {
      %p = epi.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf32, #exec.panel<columns = 32, depth = 1>>) -> tensor<?x4xf32>
      )" + body + R"(
      exec.yield %y : tensor<?x4xf32>
    })",
                  *target);
}

TEST(LinearEpilogueDiagnosticsTest, RefusesAReductionAfterAProjection) {
  EXPECT_THAT(
      refusalOf("%y = epi.rms_norm %p, %n {eps = 0.5 : f64} : tensor<?x4xf32>, tensor<4xf32>"),
      HasSubstr("holds 'epi.rms_norm' beside 'epi.linear', which the CPU target cannot join"));
}

TEST(LinearEpilogueDiagnosticsTest, RefusesPartsOfTheProduct) {
  EXPECT_THAT(refusalOf(R"(
      %0 = epi.reshape %p : tensor<?x4xf32> to tensor<?x2x2xf32>
      %1 = epi.add %0, %h : tensor<?x2x2xf32>, tensor<2xf32>
      %y = epi.reshape %1 : tensor<?x2x2xf32> to tensor<?x4xf32>)"),
              HasSubstr("cannot read 'operand' in place"));
}

TEST(LinearEpilogueDiagnosticsTest, RefusesToYieldAnArgument) {
  EXPECT_THAT(
      refusalOf(
          "%z, %y = epi.split %x dim 1 : tensor<?x8xf32> to tensor<?x4xf32>, tensor<?x4xf32>"),
      HasSubstr("can store only this operation's result"));
}

} // namespace
} // namespace epigraph::cpu::test
