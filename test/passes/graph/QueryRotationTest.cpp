// Queries that attention's kernel rotates give the same results, bit for bit.
#include "absl/strings/str_cat.h"
#include "mlir/Pass/PassManager.h"

#include "codegen/reference/Dense.h"
#include "passes/graph/Passes.h"
#include "test/codegen/reference/InterpreterHarness.h"

namespace epigraph::reference {
namespace {

constexpr int64_t kTokens = 5;

/// Latent attention of two heads whose queries are a part of `x`'s rows. `form`: the attribute of
/// rotations.
std::string attention(const std::string &form) {
  return absl::StrCat(R"(
func.func @main(%x: tensor<?x64xf32>, %l: tensor<?x32xf32>, %r: tensor<?x16xf32>, %q: tensor<?x2x32xf32>,
                %t: tensor<64x16xf32>, %step: !epi.step) -> tensor<?x2x32xf32> {
  %heads = epi.reshape %x : tensor<?x64xf32> to tensor<?x2x32xf32>
  %rest, %part = epi.split %heads dim 2 : tensor<?x2x32xf32> to tensor<?x2x16xf32>, tensor<?x2x16xf32>
  %turned = epi.rope %part, %t, %step )",
                      form, R"(: tensor<?x2x16xf32>, tensor<64x16xf32>
  %cache = epi.kv_cache "0" : !epi.mla_cache<latent = 32, rope = 16, f32>
  %new = epi.kv_append %cache, %l, %r, %step : !epi.mla_cache<latent = 32, rope = 16, f32>, tensor<?x32xf32>, tensor<?x16xf32>
  %o = epi.mla_attention %q, %turned, %new, %step {scale = 0.2 : f64}
     : (tensor<?x2x32xf32>, tensor<?x2x16xf32>, !epi.mla_cache<latent = 32, rope = 16, f32>) -> tensor<?x2x32xf32>
  return %o : tensor<?x2x32xf32>
})");
}

std::vector<Tensor> arguments() {
  return {sample({kTokens, 64}, 1), sample({kTokens, 32}, 2), sample({kTokens, 16}, 3),
          sample({kTokens, 2, 32}, 4), sample({64, 16}, 5)};
}

class QueryRotation : public testing::TestWithParam<const char *> {};

TEST_P(QueryRotation, FusedAttentionComputesTheSame) {
  Program plain(attention(GetParam()));
  ASSERT_TRUE(plain.module) << testing::PrintToString(plain.said);
  mlir::OwningOpRef<mlir::ModuleOp> module = plain.module->clone();
  mlir::PassManager passes(&plain.context);
  passes.addPass(createFuseQueryRotationPass());
  ASSERT_TRUE(mlir::succeeded(passes.run(*module))) << testing::PrintToString(plain.said);
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  ASSERT_NE(text.find("rope_mla_attention"), std::string::npos) << text;

  Program fused(text);
  ASSERT_TRUE(fused.module) << text;
  const StepBatch step = batchOf({{0, 2, {3}}, {0, 3, {1}}});
  std::vector<RankResult> expected = plain.run({{arguments(), step}});
  std::vector<RankResult> found = fused.run({{arguments(), step}});
  ASSERT_EQ(expected.size(), 1U) << testing::PrintToString(plain.said);
  ASSERT_EQ(found.size(), 1U) << testing::PrintToString(fused.said);
  expectSame(*found[0][0], *expected[0][0]);
}

INSTANTIATE_TEST_SUITE_P(Of, QueryRotation, testing::Values("", "{interleaved} "),
                         [](const auto &info) { return *info.param ? "neighbours" : "halves"; });

} // namespace
} // namespace epigraph::reference
