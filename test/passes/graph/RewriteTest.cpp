// Routes that take over scores, permutations that take in their neighbours, and layouts that cancel
// out, give the numbers they gave before.
#include <algorithm>
#include <numeric>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mlir/Pass/PassManager.h"

#include "passes/graph/Passes.h"
#include "test/codegen/reference/InterpreterHarness.h"

namespace epigraph::reference {
namespace {

/// The module in `text` after `pass`.
std::string rewrite(const std::string &text, std::unique_ptr<mlir::Pass> pass) {
  Program program(text);
  mlir::PassManager passes(&program.context);
  passes.addPass(std::move(pass));
  EXPECT_TRUE(mlir::succeeded(passes.run(*program.module)));
  std::string result;
  llvm::raw_string_ostream(result) << *program.module;
  return result;
}

RankResult run(const std::string &text, const std::vector<Tensor> &arguments) {
  Program program(text);
  std::vector<RankResult> results = program.run({{arguments, {}}});
  EXPECT_EQ(results.size(), 1U) << testing::PrintToString(program.said);
  return results.empty() ? RankResult() : results.front();
}

/// A router over 8 experts in two groups, of which the best two of one are taken.
std::string router(const std::string &scores, const std::string &result) {
  return absl::StrCat(R"(
    func.func @main(%l: tensor<?x8xf32>, %b: tensor<8xf32>) -> )",
                      result == "%ids" ? "tensor<?x2xi32>" : "(tensor<?x2xi32>, tensor<?x2xf32>)",
                      " {\n", scores, R"(
      %ids, %w = epi.route %s {score = #epi.score<identity>, top_k = 2 : i64, groups = 2 : i64, top_groups = 1 : i64,
                   group_score = #epi.group_score<top2_sum>, normalize, scale = 2.5 : f64}
                 : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
      return )",
                      result, " : ",
                      result == "%ids" ? "tensor<?x2xi32>" : "tensor<?x2xi32>, tensor<?x2xf32>",
                      "\n}\n");
}

void expectRoutesAlike(const std::string &text) {
  const std::string fused = rewrite(text, createFuseRoutingPass());
  EXPECT_EQ(fused.find("identity"), std::string::npos) << fused;
  const std::vector<Tensor> arguments = {sample({40, 8}, 1), sample({8}, 2)};
  RankResult expected = run(text, arguments), found = run(fused, arguments);
  ASSERT_EQ(found.size(), expected.size());
  expectSame(*found[0], *expected[0]);
  if (found.size() == 2)
    expectFloats(*found[1], expected[1]->shape(),
                 {expected[1]->floatVector().begin(), expected[1]->floatVector().end()}, 1e-6);
}

TEST(FuseRouting, SoftmaxScores) {
  expectRoutesAlike(router("%s = epi.softmax %l : tensor<?x8xf32>", "%ids, %w"));
}

TEST(FuseRouting, SigmoidScores) {
  expectRoutesAlike(router("%s = epi.sigmoid %l : tensor<?x8xf32>", "%ids, %w"));
}

TEST(FuseRouting, ABiasThatOnlyChooses) {
  expectRoutesAlike(router("%t = epi.sigmoid %l : tensor<?x8xf32>\n"
                           "%s = epi.add %t, %b : tensor<?x8xf32>, tensor<8xf32>",
                           "%ids"));
}

TEST(FusePermutation, RoutesQuantizesAndAddsUp) {
  const std::string text = R"(
    func.func @main(%l: tensor<?x8xf32>, %x: tensor<?x192xf32>, %n: tensor<192xf32>)
        -> (tensor<?x192xf8E4M3FN>, tensor<?x2xf32>, tensor<8xi32>, tensor<?x192xf32>, tensor<?x192xf32>) {
      %ids, %w = epi.route %l {score = #epi.score<softmax>, top_k = 3 : i64, groups = 1 : i64, top_groups = 1 : i64,
                   group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64}
               : tensor<?x8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
      %first, %slots, %counts = epi.permute %x, %ids
          : tensor<?x192xf32>, tensor<?x3xi32> -> tensor<?x192xf32>, tensor<?x3xi32>, tensor<8xi32>
      %q, %s = epi.quantize %first {block = array<i64: 1, 128>} : tensor<?x192xf32> -> tensor<?x192xf8E4M3FN>, tensor<?x2xf32>
      %rows, %same, %again = epi.permute %x, %ids
          : tensor<?x192xf32>, tensor<?x3xi32> -> tensor<?x192xf32>, tensor<?x3xi32>, tensor<8xi32>
      %u = epi.unpermute %rows, %slots, %w : tensor<?x192xf32>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x192xf32>
      %sum, %norm = epi.fused "add_rms_norm"(%x, %u, %n)
          : (tensor<?x192xf32>, tensor<?x192xf32>, tensor<192xf32>) -> (tensor<?x192xf32>, tensor<?x192xf32>) {
      ^bb0(%a: tensor<?x192xf32>, %b: tensor<?x192xf32>, %c: tensor<192xf32>):
        %0 = epi.add %a, %b : tensor<?x192xf32>
        %1 = epi.rms_norm %0, %c {eps = 1.0e-6 : f64} : tensor<?x192xf32>, tensor<192xf32>
        epi.yield %0, %1 : tensor<?x192xf32>, tensor<?x192xf32>
      }
      return %q, %s, %counts, %sum, %norm
          : tensor<?x192xf8E4M3FN>, tensor<?x2xf32>, tensor<8xi32>, tensor<?x192xf32>, tensor<?x192xf32>
    })";
  const std::string fused = rewrite(text, createFusePermutationPass());
  for (const char *name : {"\"route_permute_quantize\"", "\"unpermute_add_rms_norm\""})
    EXPECT_NE(fused.find(name), std::string::npos) << fused;
  const std::vector<Tensor> arguments = {sample({40, 8}, 1), sample({40, 192}, 2),
                                         sample({192}, 3)};
  RankResult expected = run(text, arguments), found = run(fused, arguments);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    expectSame(*found[i], *expected[i]);
}

TEST(FuseRouter, NormalizesProjectsRoutesAndPermutes) {
  const std::string text = R"(
    func.func @main(%x: tensor<?x192xf32>, %y: tensor<?x192xf32>, %n: tensor<192xf32>, %w: tensor<8x192xf32>)
        -> (tensor<?x192xf32>, tensor<?x192xf32>, tensor<8xi32>, tensor<?x192xf32>) {
      %sum, %norm = epi.fused "add_rms_norm"(%x, %y, %n)
          : (tensor<?x192xf32>, tensor<?x192xf32>, tensor<192xf32>) -> (tensor<?x192xf32>, tensor<?x192xf32>) {
      ^bb0(%a: tensor<?x192xf32>, %b: tensor<?x192xf32>, %c: tensor<192xf32>):
        %0 = epi.add %a, %b : tensor<?x192xf32>
        %1 = epi.rms_norm %0, %c {eps = 1.0e-6 : f64} : tensor<?x192xf32>, tensor<192xf32>
        epi.yield %0, %1 : tensor<?x192xf32>, tensor<?x192xf32>
      }
      %l = epi.linear %norm, %w : (tensor<?x192xf32>, tensor<8x192xf32>) -> tensor<?x8xf32>
      %ids, %g = epi.route %l {score = #epi.score<softmax>, top_k = 3 : i64, groups = 1 : i64, top_groups = 1 : i64,
                   group_score = #epi.group_score<max>, normalize, scale = 1.0 : f64}
               : tensor<?x8xf32> -> tensor<?x3xi32>, tensor<?x3xf32>
      %rows, %slots, %counts = epi.permute %norm, %ids
          : tensor<?x192xf32>, tensor<?x3xi32> -> tensor<?x192xf32>, tensor<?x3xi32>, tensor<8xi32>
      %u = epi.unpermute %rows, %slots, %g : tensor<?x192xf32>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x192xf32>
      return %sum, %rows, %counts, %u : tensor<?x192xf32>, tensor<?x192xf32>, tensor<8xi32>, tensor<?x192xf32>
    })";
  const std::string permuted = rewrite(text, createFusePermutationPass());
  const std::string fused = rewrite(permuted, createFuseRouterPass());
  EXPECT_NE(fused.find("\"add_rms_norm_linear_route_permute\""), std::string::npos) << fused;
  const std::vector<Tensor> arguments = {sample({40, 192}, 1), sample({40, 192}, 2),
                                         sample({192}, 3), sample({8, 192}, 4)};
  RankResult expected = run(text, arguments), found = run(fused, arguments);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    expectSame(*found[i], *expected[i]);
}

/// A random chain of moves of a tensor of 24 elements, with results along the way.
class RandomMoves {
public:
  explicit RandomMoves(unsigned seed) : random(seed) {}

  std::string text() {
    std::vector<std::string> returned, types;
    for (int i = pick(4, 14); i > 0; --i) {
      move();
      if (i == 1 || pick(0, 4) == 0) {
        returned.push_back(value);
        types.push_back(type(shape));
      }
    }
    return absl::StrCat("func.func @main(%x: tensor<2x3x4xf32>) -> (", absl::StrJoin(types, ", "),
                        ") {\n", body, "return ", absl::StrJoin(returned, ", "), " : ",
                        absl::StrJoin(types, ", "), "\n}\n");
  }

private:
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }

  static std::string type(const std::vector<int> &shape) {
    return absl::StrCat("tensor<", absl::StrJoin(shape, "x"), "xf32>");
  }

  void define(const std::string &expression, const std::vector<int> &result) {
    std::string name = absl::StrCat("%v", next++);
    absl::StrAppend(&body, name, " = ", expression, "\n");
    value = name;
    shape = result;
  }

  void move() {
    switch (pick(0, 3)) {
    case 0:
      return transpose();
    case 1: {
      const std::vector<std::vector<int>> shapes = {{24},      {4, 6},    {1, 24},
                                                    {2, 3, 4}, {6, 1, 4}, {3, 1, 8}};
      const std::vector<int> &to = shapes[static_cast<size_t>(pick(0, 5))];
      return define(absl::StrCat("epi.reshape ", value, " : ", type(shape), " to ", type(to)), to);
    }
    default:
      return splitAndJoin(pick(0, 3) != 0);
    }
  }

  void transpose() {
    std::vector<int> permutation(shape.size()), to;
    std::iota(permutation.begin(), permutation.end(), 0);
    std::shuffle(permutation.begin(), permutation.end(), random);
    for (int from : permutation)
      to.push_back(shape[static_cast<size_t>(from)]);
    define(absl::StrCat("epi.transpose ", value, " [", absl::StrJoin(permutation, ", "),
                        "] : ", type(shape), " to ", type(to)),
           to);
  }

  void splitAndJoin(bool inOrder) {
    const size_t dim = static_cast<size_t>(pick(0, static_cast<int>(shape.size()) - 1));
    if (shape[dim] < 2)
      return;
    std::vector<int> first = shape, rest = shape;
    first[dim] = pick(1, shape[dim] - 1);
    rest[dim] -= first[dim];
    std::string name = absl::StrCat("%v", next++);
    absl::StrAppend(&body, name, ":2 = epi.split ", value, " dim ", dim, " : ", type(shape), " to ",
                    type(first), ", ", type(rest), "\n");
    if (inOrder)
      return define(absl::StrCat("epi.concat ", name, "#0, ", name, "#1 dim ", dim, " : ",
                                 type(first), ", ", type(rest), " to ", type(shape)),
                    shape);
    define(absl::StrCat("epi.concat ", name, "#1, ", name, "#0 dim ", dim, " : ", type(rest), ", ",
                        type(first), " to ", type(shape)),
           shape);
  }

  std::mt19937 random;
  std::string body, value = "%x";
  std::vector<int> shape = {2, 3, 4};
  int next = 0;
};

TEST(ElideLayoutChanges, ValuesStayWhereTheyAre) {
  size_t before = 0, after = 0;
  for (unsigned seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    const std::string text = RandomMoves(seed).text();
    const std::string elided = rewrite(text, createElideLayoutChangesPass());
    RankResult expected = run(text, {sample({2, 3, 4}, 1)});
    RankResult found = run(elided, {sample({2, 3, 4}, 1)});
    ASSERT_EQ(found.size(), expected.size()) << elided;
    for (size_t i = 0; i < expected.size(); ++i)
      expectSame(*found[i], *expected[i]);
    if (HasFailure())
      FAIL() << text << elided;
    before += static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    after += static_cast<size_t>(std::count(elided.begin(), elided.end(), '\n'));
  }
  EXPECT_LT(after, before * 3 / 4);
}

} // namespace
} // namespace epigraph::reference
