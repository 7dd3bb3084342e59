// Modules on several ranks: dispatch and combine against the graph on one rank, and ranks that
// fail.
#include <thread>

#include "test/codegen/reference/InterpreterHarness.h"

namespace epigraph::reference {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kExperts[] = R"(
  func.func @main(%x: tensor<?x4xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %gate = epi.weight_stack "{}.gate" : tensor<8x3x4xf32>
    %up = epi.weight_stack "{}.up" : tensor<8x3x4xf32>
    %down = epi.weight_stack "{}.down" : tensor<8x4x3xf32>
    %y = epi.experts %x, %ids, %w, %gate, %up, %down
        : tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<8x3x4xf32>, tensor<8x3x4xf32>, tensor<8x4x3xf32>
    return %y : tensor<?x4xf32>
  })";

/// The local experts' network on %rows and %counts, giving %o. "L" stands for the local experts.
constexpr char kLocalNetwork[] = R"(
    %gates = epi.weight_stack "{}.gate" : tensor<8x3x4xf32>
    %ups = epi.weight_stack "{}.up" : tensor<8x3x4xf32>
    %downs = epi.weight_stack "{}.down" : tensor<8x4x3xf32>
    %gate = ep.local_experts %gates {placement = #p} : tensor<8x3x4xf32> to tensor<Lx3x4xf32>
    %up = ep.local_experts %ups {placement = #p} : tensor<8x3x4xf32> to tensor<Lx3x4xf32>
    %down = ep.local_experts %downs {placement = #p} : tensor<8x4x3xf32> to tensor<Lx4x3xf32>
    %g = epi.grouped_linear %rows, %counts, %gate
        : (tensor<?x4xf32>, tensor<Lxi32>, tensor<Lx3x4xf32>) -> tensor<?x3xf32>
    %u = epi.grouped_linear %rows, %counts, %up
        : (tensor<?x4xf32>, tensor<Lxi32>, tensor<Lx3x4xf32>) -> tensor<?x3xf32>
    %s = epi.silu %g : tensor<?x3xf32>
    %m = epi.mul %s, %u : tensor<?x3xf32>
    %o = epi.grouped_linear %m, %counts, %down
        : (tensor<?x3xf32>, tensor<Lxi32>, tensor<Lx4x3xf32>) -> tensor<?x4xf32>)";

constexpr char kDispatch[] = R"(
    %rows, %counts, %back = ep.dispatch %x, %ids on @world {placement = #p}
        : tensor<?x4xf32>, tensor<?x2xi32> -> tensor<?x4xf32>, tensor<Lxi32>)";
constexpr char kCombine[] = R"(
    %y = ep.combine %o, %w, %back on @world : tensor<?x4xf32>, tensor<?x2xf32> -> tensor<?x4xf32>)";

constexpr char kScatter[] = R"(
    %sorted, %slots, %sent = epi.permute %x, %ids
        : tensor<?x4xf32>, tensor<?x2xi32> -> tensor<?x4xf32>, tensor<?x2xi32>, tensor<8xi32>
    %rows, %counts = ep.scatter_experts %sorted, %sent on @world {placement = #p}
        : tensor<?x4xf32>, tensor<8xi32> -> tensor<?x4xf32>, tensor<Lxi32>)";
constexpr char kGather[] = R"(
    %home = ep.gather_experts %o, %sent, %counts on @world
        : tensor<?x4xf32>, tensor<8xi32>, tensor<Lxi32> -> tensor<?x4xf32>
    %y = epi.unpermute %home, %slots, %w : tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x4xf32>)";

/// The experts of `kExperts` on a mesh; every rank takes its share of the rows and gets all
/// results.
std::string onMesh(int ranks, const std::string &send, const std::string &bring) {
  std::string text = R"(
  #p = #ep.placement<experts = 8, ranks = R>
  ep.mesh @world {expert = R : i64, attention = #ep.attention<replicated>}
  func.func @main(%xs: tensor<?x4xf32>, %idss: tensor<?x2xi32>, %ws: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %x = ep.shard_rows %xs on @world : tensor<?x4xf32>
    %ids = ep.shard_rows %idss on @world : tensor<?x2xi32>
    %w = ep.shard_rows %ws on @world : tensor<?x2xf32>)" +
                     send + kLocalNetwork + bring + R"(
    %all = ep.all_gather %y on @world : tensor<?x4xf32>
    return %all : tensor<?x4xf32>
  })";
  auto replace = [&](const std::string &from, const std::string &to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
  };
  replace("ranks = R", "ranks = " + std::to_string(ranks));
  replace("expert = R", "expert = " + std::to_string(ranks));
  replace("tensor<L", "tensor<" + std::to_string(8 / ranks));
  return text;
}

/// `tokens` rows whose slots all go where `choose(i)` says.
template <typename Choose> RankInput routed(int64_t tokens, const Choose &choose) {
  Tensor ids = Tensor::ints({tokens, 2});
  for (int32_t i = 0; i < 2 * tokens; ++i)
    ids.intData()[i] = choose(i) % 8;
  return {{sample({tokens, 4}, 1), std::move(ids), sample({tokens, 2}, 2)}, {}};
}

TEST(Ranks, GiveTheSameBitsOnAnyMesh) {
  std::vector<RankInput> cases;
  cases.push_back(routed(11, [](int32_t i) { return 3 * i + i / 4; }));
  cases.push_back(routed(5, [](int32_t) { return 7; }));       // one expert gets all
  cases.push_back(routed(6, [](int32_t i) { return i % 2; })); // ranks 1, 2, ... get nothing
  cases.push_back(routed(1, [](int32_t i) { return i; }));     // ranks without a token
  cases.push_back(routed(0, [](int32_t i) { return i; }));
  for (const RankInput &input : cases) {
    Program alone(kExperts);
    Tensor expected = alone.runOne(input.tensors);
    for (int ranks : {1, 2, 4, 8})
      for (bool decomposed : {false, true}) {
        Program mesh(decomposed ? onMesh(ranks, kScatter, kGather)
                                : onMesh(ranks, kDispatch, kCombine));
        EXPECT_EQ(mesh.interpreter->ranks(), ranks);
        std::vector<RankResult> results =
            mesh.run(std::vector<RankInput>(static_cast<size_t>(ranks), input));
        ASSERT_EQ(results.size(), static_cast<size_t>(ranks)) << testing::PrintToString(mesh.said);
        for (const RankResult &result : results)
          expectSame(*result.front(), expected);
      }
  }
}

TEST(Ranks, AFailingRankStopsTheOthersAndIsNamed) {
  Program program(onMesh(4, kDispatch, kCombine),
                  {.threads = 1, .deadline = std::chrono::hours(1)});
  std::vector<RankInput> inputs(4, routed(8, [](int32_t i) { return i; }));
  inputs[2].tensors[1].intData()[9] = 8; // a row of rank 2's share
  EXPECT_THAT(program.run(inputs), IsEmpty());
  EXPECT_THAT(program.said,
              Contains(HasSubstr("'ep.dispatch' op rank 2: row 0 asks for expert 8 of 8")));
  EXPECT_THAT(program.said, Contains(HasSubstr("because rank 2 failed")));
  // The next run is not disturbed.
  inputs[2] = inputs[0];
  EXPECT_EQ(program.run(inputs).size(), 4u) << testing::PrintToString(program.said);
}

/// Takes longer over one weight than the deadline allows.
class SlowWeights : public TestWeights {
public:
  absl::StatusOr<Tensor> load(std::string_view name, mlir::RankedTensorType type) override {
    if (name == "slow.1")
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
    return TestWeights::load(name, type);
  }
};

TEST(Ranks, ALateRankIsNamedByTheDeadline) {
  Program program(R"(
    ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
    func.func @main(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %stack = epi.weight_stack "slow.{}" : tensor<2x2x2xf32>
      %mine = ep.local_experts %stack {placement = #ep.placement<experts = 2, ranks = 2>}
          : tensor<2x2x2xf32> to tensor<1x2x2xf32>
      %w = epi.reshape %mine : tensor<1x2x2xf32> to tensor<2x2xf32>
      %y = epi.linear %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
      %z = ep.all_reduce %y on @world : tensor<?x2xf32> loc("model.layers.0.mlp")
      return %z : tensor<?x2xf32>
    })");
  SlowWeights slow;
  Interpreter interpreter(*program.module, slow,
                          {.threads = 1, .deadline = std::chrono::milliseconds(50)});
  RankInput input{{Tensor::floats({1, 2})}, {}};
  EXPECT_TRUE(mlir::failed(interpreter.run("main", {input, input}, program.state)));
  EXPECT_THAT(program.said,
              Contains(StartsWith("model.layers.0.mlp: 'ep.all_reduce' op rank 0: "
                                  "all_reduce (model.layers.0.mlp): rank 1 did not arrive")));
}

} // namespace
} // namespace epigraph::reference
