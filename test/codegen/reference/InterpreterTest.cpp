// The interpreter on small modules: graphs, kernels, weight programs, caches, and what it refuses.
#include "codegen/reference/Dense.h"
#include "codegen/reference/Structure.h"
#include "test/codegen/reference/InterpreterHarness.h"

namespace epigraph::reference {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kFused[] = R"(
  func.func @main(%x: tensor<?x2xbf16>, %a: tensor<?x2xbf16>) -> tensor<?x2xbf16> {
    %w = epi.weight "norm" : tensor<2xbf16>
    %sum, %norm = epi.fused "add_rms_norm"(%x, %a, %w)
        : (tensor<?x2xbf16>, tensor<?x2xbf16>, tensor<2xbf16>) -> (tensor<?x2xbf16>, tensor<?x2xbf16>) {
    ^bb0(%0: tensor<?x2xbf16>, %1: tensor<?x2xbf16>, %2: tensor<2xbf16>):
      %3 = epi.add %0, %1 : tensor<?x2xbf16>
      %4 = epi.rms_norm %3, %2 {eps = 0.5 : f64} : tensor<?x2xbf16>, tensor<2xbf16>
      epi.yield %3, %4 : tensor<?x2xbf16>, tensor<?x2xbf16>
    }
    %y = epi.add %sum, %norm : tensor<?x2xbf16>
    return %y : tensor<?x2xbf16>
  })";

TEST(Interpreter, RunsFusedGroups) {
  Program program(kFused);
  program.weights.given["norm"] = floats({2}, {1.f, 2.f});
  double scale = 1 / std::sqrt(12.5 + 0.5);
  expectFloats(program.runOne({floats({1, 2}, {1.f, 1.f}), floats({1, 2}, {2.f, 3.f})}), {1, 2},
               {3 + 3 * scale, 4 + 8 * scale});
}

TEST(Interpreter, GivesExpertsTheirBiasesAndClamp) {
  Program program(R"(
    func.func @main(%x: tensor<?x3xf32>, %scores: tensor<?x2xf32>) -> tensor<?x3xf32> {
      %ids, %weights = epi.route %scores {score = #epi.score<identity>, top_k = 1 : i64, groups = 1 : i64,
          top_groups = 1 : i64, group_score = #epi.group_score<max>, scale = 1.0 : f64}
          : tensor<?x2xf32> -> tensor<?x1xi32>, tensor<?x1xf32>
      %gate = epi.weight "gate" : tensor<2x2x3xf32>
      %up = epi.weight "up" : tensor<2x2x3xf32>
      %down = epi.weight "down" : tensor<2x3x2xf32>
      %gb = epi.weight "gate.bias" : tensor<2x2xf32>
      %ub = epi.weight "up.bias" : tensor<2x2xf32>
      %db = epi.weight "down.bias" : tensor<2x3xf32>
      %y = epi.experts %x, %ids, %weights, %gate, %up, %down biases %gb, %ub, %db
          {clamp = #epi.clamp<alpha = 1.5, limit = 0.25>}
          : tensor<?x3xf32>, tensor<?x1xi32>, tensor<?x1xf32>, tensor<2x2x3xf32>, tensor<2x2x3xf32>, tensor<2x3x2xf32>
            biases tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x3xf32>
      return %y : tensor<?x3xf32>
    })");
  // Each row has one expert, whose weights and biases make numbers that tell them apart.
  Tensor gate = Tensor::floats({2, 2, 3}), down = Tensor::floats({2, 3, 2});
  std::fill_n(gate.row(1), 6, 1.f);
  std::fill_n(down.row(1), 6, 1.f);
  program.weights.given = {{"gate", gate},
                           {"up", gate},
                           {"down", down},
                           {"gate.bias", floats({2, 2}, {0.f, 0.f, -0.5f, -0.75f})},
                           {"up.bias", floats({2, 2}, {0.f, 0.f, 9.f, -1.f})},
                           {"down.bias", floats({2, 3}, {1.f, 2.f, 3.f, 4.f, 5.f, 6.f})}};
  // Expert 1 sees x summed to 0.6: gates 0.1 and -0.15, ups 9.6 and -0.4, clamped to 0.25 and
  // -0.25.
  auto squashed = [](double g) { return g / (1 + std::exp(-1.5 * g)); };
  double inner = 1.25 * squashed(0.1) + 0.75 * squashed(-0.15);
  expectFloats(program.runOne({floats({2, 3}, {0.1f, 0.2f, 0.3f, 7.f, 7.f, 7.f}),
                               floats({2, 2}, {0.f, 2.f, 0.5f, 0.f})}),
               {2, 3}, {2 * (inner + 4), 2 * (inner + 5), 2 * (inner + 6), 0.5, 1, 1.5});
}

TEST(Interpreter, RoundsToTypesOnlyWhereAsked) {
  constexpr char text[] = R"(
    func.func @main(%x: tensor<?x1xbf16>) -> (tensor<?x1xbf16>, tensor<?x1xf32>) {
      %0 = epi.add %x, %x : tensor<?x1xbf16>
      %1 = epi.cast %x : tensor<?x1xbf16> to tensor<?x1xf32>
      %2 = epi.add %1, %1 : tensor<?x1xf32>
      return %0, %2 : tensor<?x1xbf16>, tensor<?x1xf32>
    })";
  constexpr float fine = 1.0009765625f; // bf16 has no more than 8 bits
  for (bool round : {false, true}) {
    Program program(text, {.threads = 1, .roundToTypes = round});
    std::vector<RankResult> results = program.run({{{floats({1, 1}, {fine})}, {}}});
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0][0]->data()[0], round ? 2.0f : 2 * fine);
    EXPECT_EQ(results[0][1]->data()[0], 2 * fine);
  }
}

TEST(Interpreter, RunsKernelsAndWeightPrograms) {
  Program program(R"(
    exec.weight @joined : tensor<3x2xbf16> {
      %0 = epi.weight "a" : tensor<1x2xbf16>
      %1 = epi.weight "b" : tensor<2x2xbf16>
      %2 = epi.concat %0, %1 dim 0 : tensor<1x2xbf16>, tensor<2x2xbf16> to tensor<3x2xbf16>
      exec.yield %2 : tensor<3x2xbf16>
    }
    exec.kernel @linear_0(%x: tensor<?x2xbf16>, %w: tensor<3x2xbf16>) -> tensor<?x3xbf16> {
      %0 = epi.linear %x, %w : (tensor<?x2xbf16>, tensor<3x2xbf16>) -> tensor<?x3xbf16>
      exec.yield %0 : tensor<?x3xbf16>
    }
    func.func @main(%x: tensor<?x2xbf16>) -> tensor<?x3xbf16> {
      %w = exec.load_weight @joined : tensor<3x2xbf16>
      %0 = exec.launch @linear_0(%x, %w) : (tensor<?x2xbf16>, tensor<3x2xbf16>) -> tensor<?x3xbf16>
      return %0 : tensor<?x3xbf16>
    })");
  program.weights.given["a"] = floats({1, 2}, {1.f, 10.f});
  program.weights.given["b"] = floats({2, 2}, {2.f, 20.f, 3.f, 30.f});
  for (int i = 0; i < 2; ++i) // weights are loaded once
    expectFloats(program.runOne({floats({1, 2}, {1.f, 2.f})}), {1, 3}, {21, 42, 63});
  EXPECT_EQ(program.weights.loads["a"], 1);
}

TEST(WeightProgram, ARankLoadsItsOwnExpertsAlone) {
  Program program(R"(
    exec.weight rank_local @up : tensor<2x1x2xf32> {
      %0 = epi.weight_stack "experts.{}.up" : tensor<4x1x2xbf16>
      %1 = epi.cast %0 : tensor<4x1x2xbf16> to tensor<4x1x2xf32>
      %2 = ep.local_experts %1 {placement = #ep.placement<experts = 4, ranks = 2>}
          : tensor<4x1x2xf32> to tensor<2x1x2xf32>
      exec.yield %2 : tensor<2x1x2xf32>
    })");
  auto weight = program.module->lookupSymbol<exec::WeightOp>("up");
  auto value =
      evaluateWeight(weight, program.weights, {.rank = 1, .mesh = {.expert = 2}, .workers = {}});
  ASSERT_TRUE(mlir::succeeded(value));
  EXPECT_EQ((*value)->shape(), (Shape{2, 1, 2}));
  auto type = mlir::RankedTensorType::get({1, 2}, mlir::Float32Type::get(&program.context));
  EXPECT_EQ(program.weights.loads,
            (std::map<std::string, int>{{"experts.2.up", 1}, {"experts.3.up", 1}}));
  expectSame(Tensor(sliceRows(**value, 1, 2)).reshaped({1, 2}),
             *program.weights.load("experts.3.up", type));
}

TEST(Interpreter, SequencesAndChunksDoNotMix) {
  constexpr char text[] = R"(
    func.func @main(%x: tensor<?x4xf32>, %step: !epi.step) -> tensor<?x4xf32> {
      %w = epi.weight "w" : tensor<4x4xf32>
      %table = epi.rope_table {theta = 1.0e4 : f64, magnitude = 1.0 : f64} : tensor<128x4xf32>
      %r = epi.rope %x, %table, %step : tensor<?x4xf32>, tensor<128x4xf32>
      %k = epi.reshape %r : tensor<?x4xf32> to tensor<?x2x2xf32>
      %cache = epi.kv_cache "layer" : !epi.kv_cache<heads = 2, key = 2, value = 2, f32>
      %new = epi.kv_append %cache, %k, %k, %step
          : !epi.kv_cache<heads = 2, key = 2, value = 2, f32>, tensor<?x2x2xf32>, tensor<?x2x2xf32>
      %o = epi.attention %k, %new, %step {scale = 1.0 : f64}
          : (tensor<?x2x2xf32>, !epi.kv_cache<heads = 2, key = 2, value = 2, f32>) -> tensor<?x2x2xf32>
      %y = epi.reshape %o : tensor<?x2x2xf32> to tensor<?x4xf32>
      %z = epi.linear %y, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
      %out = epi.output_rows %z, %step : tensor<?x4xf32>
      return %out : tensor<?x4xf32>
    })";
  Tensor a = sample({70, 4}, 1), b = sample({66, 4}, 2);
  auto last = [&](const Tensor &x) {
    Program alone(text);
    return alone.runOne({x}, batchOf({{0, static_cast<int32_t>(x.rows()), {0, 1}}}));
  };
  Program program(text);
  std::vector<int32_t> pagesOfA = {4, 0}, pagesOfB = {2, 3};
  auto step = [&](int32_t fromA, int32_t toA, int32_t fromB, int32_t toB) {
    Tensor partA = sliceRows(a, fromA, toA), partB = sliceRows(b, fromB, toB);
    return program.runOne(
        {*concat({&partB, &partA}, 0)},
        batchOf({{fromB, toB - fromB, pagesOfB}, {fromA, toA - fromA, pagesOfA}}));
  };
  step(0, 33, 0, 65);
  step(33, 69, 65, 65); // a chunk of one alone
  Tensor both = step(69, 70, 65, 66);
  expectSame(sliceRows(both, 0, 1), last(b));
  expectSame(sliceRows(both, 1, 2), last(a));
}

TEST(Interpreter, ReadsWindowsAndSinks) {
  Program program(R"(
    func.func @main(%k: tensor<?x1x1xf32>, %v: tensor<?x1x1xf32>, %step: !epi.step) -> tensor<?x1x1xf32> {
      %sinks = epi.weight "sinks" : tensor<1xf32>
      %cache = epi.kv_cache "layer" : !epi.kv_cache<heads = 1, key = 1, value = 1, f32>
      %new = epi.kv_append %cache, %k, %v, %step
          : !epi.kv_cache<heads = 1, key = 1, value = 1, f32>, tensor<?x1x1xf32>, tensor<?x1x1xf32>
      %o = epi.attention %k, %new, %step sinks %sinks {scale = 0.5 : f64, window = 1 : i64}
          : (tensor<?x1x1xf32>, !epi.kv_cache<heads = 1, key = 1, value = 1, f32>) sinks tensor<1xf32>
            -> tensor<?x1x1xf32>
      return %o : tensor<?x1x1xf32>
    })");
  program.weights.given["sinks"] = floats({1}, {0.5f});
  // Each token sees itself alone: its weight is e^(k * k / 2) beside the sink's e^0.5.
  const double first = std::exp(0.5), second = std::exp(2.0);
  expectFloats(program.runOne({floats({2, 1, 1}, {1.f, 2.f}), floats({2, 1, 1}, {10.f, 20.f})},
                              batchOf({{0, 2, {0}}})),
               {2, 1, 1}, {10 * first / (first + first), 20 * second / (second + first)}, 1e-5);
}

TEST(Interpreter, NamesTheOperationThatFailed) {
  Program program(R"(
    func.func @main(%ids: tensor<?xi32>) -> tensor<?x2xf32> {
      %t = epi.weight "table" : tensor<3x2xf32>
      %x = epi.embedding %ids, %t : (tensor<?xi32>, tensor<3x2xf32>) -> tensor<?x2xf32> loc("model.embed_tokens")
      return %x : tensor<?x2xf32>
    })");
  EXPECT_THAT(program.run({{{ints({1}, {9})}, {}}}), IsEmpty());
  EXPECT_THAT(program.said, ElementsAre("model.embed_tokens: 'epi.embedding' op id 9 of token 0 is "
                                        "outside the vocabulary of 3"));
}

TEST(Interpreter, RefusesWhatItDoesNotKnow) {
  Program program(R"(
    func.func private @other()
    func.func @main() {
      func.call @other() : () -> ()
      return
    })");
  EXPECT_THAT(program.run({{}}), IsEmpty());
  EXPECT_THAT(program.said, ElementsAre(HasSubstr("'func.call' op is unknown to the reference")));
  EXPECT_THAT(program.run({{}}, "other"), IsEmpty());
  EXPECT_THAT(program.said, ElementsAre(HasSubstr("no function @other with a body")));
}

TEST(Interpreter, RefusesInputsThatDoNotFit) {
  Program program(kFused);
  Tensor good = Tensor::floats({1, 2});
  auto saysOf = [&](std::vector<Tensor> tensors) {
    EXPECT_THAT(program.run({{std::move(tensors), {}}}), IsEmpty());
    return program.said;
  };
  EXPECT_THAT(saysOf({good}), ElementsAre(HasSubstr("got no value for argument 1")));
  EXPECT_THAT(saysOf({good, Tensor::floats({1, 3})}),
              ElementsAre(HasSubstr("the value of argument 1 is not a 'tensor<?x2xbf16>'")));
  EXPECT_THAT(saysOf({good, good, good}), ElementsAre(HasSubstr("takes 2 tensors, got 3")));
  EXPECT_THAT(saysOf({good, Tensor::floats({4, 2})}), // the add's row counts
              ElementsAre(HasSubstr("'epi.add' op rhs has 4 rows, expected 1")));
  EXPECT_THAT(program.run({}), IsEmpty());
  EXPECT_THAT(program.said, ElementsAre(HasSubstr("runs on 1 ranks, but got inputs for 0")));
}

TEST(Interpreter, AMissingWeightIsReportedWhereItIsUsed) {
  Program program(R"(
    func.func @main(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %w = epi.weight "missing" : tensor<2xf32> loc("model.norm")
      %y = epi.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x2xf32>, tensor<2xf32>
      return %y : tensor<?x2xf32>
    })");
  EXPECT_THAT(program.run({{{Tensor::floats({1, 2})}, {}}}), IsEmpty());
  EXPECT_THAT(program.said,
              ElementsAre("model.norm: 'epi.weight' op weight \"missing\" is not there"));
}

} // namespace
} // namespace epigraph::reference
