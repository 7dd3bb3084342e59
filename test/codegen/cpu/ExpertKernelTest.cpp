// Routing, permutation and the weighted sum against the reference's.
#include "codegen/reference/Experts.h"
#include "test/codegen/cpu/KernelHarness.h"

namespace epigraph::cpu::test {
namespace {

using ExpertKernelTest = KernelTest;
EPIGRAPH_INSTANTIATE_KERNEL_TEST(ExpertKernelTest);

const KernelStep kNoStep = {};

struct RouteCase {
  const char *what;
  int64_t experts;
  bool bias;
  reference::RouteOptions options;
};

const RouteCase kRouteCases[] = {
    {"DeepSeek-V3: biased groups, normalised",
     32,
     true,
     {.groupScoreTop2 = true,
      .normalize = true,
      .topK = 4,
      .groups = 4,
      .topGroups = 2,
      .scale = 2.5}},
    {"DeepSeek-V2: softmax, best expert of a group",
     20,
     false,
     {.score = reference::Score::Softmax,
      .groupScoreTop2 = false,
      .topK = 3,
      .groups = 5,
      .topGroups = 2,
      .scale = 16}},
    {"no groups, as many choices as experts, no multiple of a vector",
     5,
     true,
     {.topK = 5, .scale = 1}},
    {"one choice among more experts than a vector holds",
     61,
     false,
     {.score = reference::Score::Softmax, .topK = 1}},
    {"GLM-4: scores that come as they are, a bias of the choice, no multiple of a vector",
     37,
     true,
     {.score = reference::Score::Identity, .normalize = true, .topK = 6, .scale = 1.5}},
};

const char *nameOf(reference::Score score) {
  switch (score) {
  case reference::Score::Sigmoid:
    return "sigmoid";
  case reference::Score::Softmax:
    return "softmax";
  case reference::Score::Identity:
    return "identity";
  }
  return "";
}

std::string routeIr(const RouteCase &c) {
  const reference::RouteOptions &o = c.options;
  const std::string e = std::to_string(c.experts), k = std::to_string(o.topK);
  const std::string types =
      "tensor<?x" + e + "xf32>" + (c.bias ? " bias tensor<" + e + "xf32>" : "");
  return "exec.kernel @route_0(%l: tensor<?x" + e + "xf32>" +
         (c.bias ? ", %b: tensor<" + e + "xf32>" : "") + ") -> (tensor<?x" + k +
         "xi32>, tensor<?x" + k + "xf32>) {\n  %ids, %w = epi.route %l " +
         (c.bias ? "bias %b " : "") + "{score = #epi.score<" + nameOf(o.score) + ">, top_k = " + k +
         " : i64, groups = " + std::to_string(o.groups) +
         " : i64, top_groups = " + std::to_string(o.topGroups) +
         " : i64, group_score = #epi.group_score<" + (o.groupScoreTop2 ? "top2_sum" : "max") +
         ">, " + (o.normalize ? "normalize, " : "") + "scale = " + std::to_string(o.scale) +
         " : f64} : " + types + " -> tensor<?x" + k + "xi32>, tensor<?x" + k +
         "xf32>\n  exec.yield %ids, %w : tensor<?x" + k + "xi32>, tensor<?x" + k + "xf32>\n}\n";
}

TEST_P(ExpertKernelTest, RoutesLikeTheReference) {
  const int64_t rows = 19;
  for (const RouteCase &c : kRouteCases) {
    SCOPED_TRACE(c.what);
    Kernel kernel = compile(routeIr(c));
    const Tensor logits = randomTensor({rows, c.experts}, ElementType::F32, 1);
    const Tensor bias = randomTensor({c.experts}, ElementType::F32, 2);
    Buffer logitBuffer(ElementType::F32, logits), biasBuffer(ElementType::F32, bias);
    Buffer ids(ElementType::I32, rows * c.options.topK);
    Buffer weights(ElementType::F32, rows * c.options.topK);
    std::vector<void *> args = {logitBuffer.data(), biasBuffer.data(), ids.data(), weights.data()};
    if (!c.bias)
      args.erase(args.begin() + 1);
    kernel.run(args, kNoStep, rows);
    auto expected = reference::route(logits, c.bias ? &bias : nullptr, c.options);
    ASSERT_TRUE(expected.ok()) << expected.status();
    const Shape shape = {rows, c.options.topK};
    EXPECT_EQ(ids.read(shape).intVector(), expected->ids.intVector());
    expectClose(weights.read(shape), expected->weights, ElementType::F32);
  }
}

TEST_P(ExpertKernelTest, LowerExpertsWinTies) {
  RouteCase c = {
      "all logits equal",
      24,
      false,
      {.groupScoreTop2 = true, .normalize = true, .topK = 4, .groups = 4, .topGroups = 2}};
  Kernel kernel = compile(routeIr(c));
  Buffer logits(ElementType::F32, Tensor::floats({1, 24}));
  Buffer ids(ElementType::I32, 4), weights(ElementType::F32, 4);
  kernel.run({logits.data(), ids.data(), weights.data()}, kNoStep, 1);
  EXPECT_EQ(ids.read({4}).intVector(), (std::vector<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(weights.read({4}).floatVector(), (std::vector<float>{0.25f, 0.25f, 0.25f, 0.25f}));
}

TEST_P(ExpertKernelTest, NeverChoosesAnExpertThatIsNotThere) {
  // Logits that are no numbers, as a broken checkpoint gives: permute would write outside of its
  // buffers.
  for (const RouteCase &c : kRouteCases) {
    Kernel kernel = compile(routeIr(c));
    Buffer logits(ElementType::F32, c.experts), bias(ElementType::F32, c.experts);
    Buffer ids(ElementType::I32, c.options.topK), weights(ElementType::F32, c.options.topK);
    std::vector<void *> args = {logits.data(), bias.data(), ids.data(), weights.data()};
    if (!c.bias)
      args.erase(args.begin() + 1);
    kernel.run(args, kNoStep, 1);
    const Tensor chosen = ids.read({c.options.topK});
    for (int32_t id : chosen.intVector())
      EXPECT_TRUE(id >= 0 && id < c.experts) << id;
  }
}

TEST_P(ExpertKernelTest, PermutesRowsByExpert) {
  Kernel kernel = compile(R"(
    exec.kernel @permute_0(%x: tensor<?x21x$T>, %ids: tensor<?x2xi32>)
        -> (tensor<?x21x$T>, tensor<?x2xi32>, tensor<5xi32>) {
      %rows, %slots, %counts = epi.permute %x, %ids
          : tensor<?x21x$T>, tensor<?x2xi32> -> tensor<?x21x$T>, tensor<?x2xi32>, tensor<5xi32>
      exec.yield %rows, %slots, %counts : tensor<?x21x$T>, tensor<?x2xi32>, tensor<5xi32>
    })");
  // Mixed with an empty expert; all to two experts; no rows at all.
  for (const std::vector<int32_t> &choices :
       {std::vector<int32_t>{4, 0, 2, 4, 0, 1, 4, 2}, {3, 0, 3, 0, 3, 0}, {}}) {
    const int64_t rows = static_cast<int64_t>(choices.size()) / 2;
    const Tensor x = random({rows, 21}, 1), ids({rows, 2}, choices);
    Buffer xBuffer = buffer(x), idBuffer(ElementType::I32, ids);
    Buffer permuted = poison({2 * rows, 21}), slots(ElementType::I32, 2 * rows);
    Buffer counts(ElementType::I32, 5);
    kernel.run({xBuffer.data(), idBuffer.data(), permuted.data(), slots.data(), counts.data()},
               kNoStep, rows);
    auto expected = reference::permute(x, ids, 5);
    ASSERT_TRUE(expected.ok()) << expected.status();
    EXPECT_EQ(permuted.read({2 * rows, 21}).floatVector(), expected->rows.floatVector());
    EXPECT_EQ(slots.read({rows, 2}).intVector(), expected->slots.intVector());
    EXPECT_EQ(counts.read({5}).intVector(), expected->counts.intVector());
  }
}

TEST_P(ExpertKernelTest, AddsUpWhatComesBack) {
  const int64_t rows = 11, topK = 3, hidden = 29;
  Kernel kernel = compile(R"(
    exec.kernel @unpermute_0(%rows: tensor<?x29x$T>, %slots: tensor<?x3xi32>, %w: tensor<?x3xf32>)
        -> tensor<?x29x$T> {
      %y = epi.unpermute %rows, %slots, %w
          : tensor<?x29x$T>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x29x$T>
      exec.yield %y : tensor<?x29x$T>
    })");
  const Tensor back = random({rows * topK, hidden}, 1);
  const Tensor weights = randomTensor({rows, topK}, ElementType::F32, 2);
  std::vector<int32_t> order(static_cast<size_t>(rows * topK));
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = static_cast<int32_t>(i * 7 % order.size()); // 7 and 33 have no common factor
  const Tensor slots({rows, topK}, std::move(order));
  Buffer backBuffer = buffer(back), slotBuffer(ElementType::I32, slots);
  Buffer weightBuffer(ElementType::F32, weights), y = poison({rows, hidden});
  kernel.run({backBuffer.data(), slotBuffer.data(), weightBuffer.data(), y.data()}, kNoStep, rows);
  expectClose(y.read({rows, hidden}), *reference::unpermute(back, slots, weights), type);
}

} // namespace
} // namespace epigraph::cpu::test
