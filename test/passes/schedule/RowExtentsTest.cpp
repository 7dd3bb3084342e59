// The extents that the plan writer takes, on a schedule of two ranks with every operation that
// changes a number of rows. Limits: 10 tokens, 3 sequences.
#include "passes/schedule/RowExtents.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

using namespace mlir;

namespace epigraph {
namespace {

using Kind = RowExtent::Kind;

constexpr char kSchedule[] = R"(
module attributes {exec.limits = #exec.limits<batch_tokens = 10, sequences = 3, context = 64>} {
  ep.mesh @world {expert = 4 : i64, attention = #ep.attention<replicated>}
  exec.weight @w : tensor<8x8xf32> {
    %0 = epi.weight "w" : tensor<8x8xf32>
    exec.yield %0 : tensor<8x8xf32>
  }
  exec.kernel @permute(%x: tensor<?x8xf32>, %ids: tensor<?x4xi32>) -> (tensor<?x8xf32>, tensor<?x4xi32>, tensor<8xi32>) {
    %r, %s, %n = epi.permute %x, %ids : tensor<?x8xf32>, tensor<?x4xi32> -> tensor<?x8xf32>, tensor<?x4xi32>, tensor<8xi32>
    exec.yield %r, %s, %n : tensor<?x8xf32>, tensor<?x4xi32>, tensor<8xi32>
  }
  exec.kernel @linear(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
    %0 = epi.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @unpermute(%x: tensor<?x8xf32>, %s: tensor<?x4xi32>, %w: tensor<?x4xf32>) -> tensor<?x8xf32> {
    %0 = epi.unpermute %x, %s, %w : tensor<?x8xf32>, tensor<?x4xi32>, tensor<?x4xf32> -> tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  exec.kernel @append(%c: !epi.mla_cache<latent = 6, rope = 2, f32>, %x: tensor<?x8xf32>, %step: !epi.step)
      -> !epi.mla_cache<latent = 6, rope = 2, f32> {
    %a, %b = epi.split %x dim 1 : tensor<?x8xf32> to tensor<?x6xf32>, tensor<?x2xf32>
    %0 = epi.kv_append %c, %a, %b, %step : !epi.mla_cache<latent = 6, rope = 2, f32>, tensor<?x6xf32>, tensor<?x2xf32>
    exec.yield %0 : !epi.mla_cache<latent = 6, rope = 2, f32>
  }
  exec.kernel @output_rows(%x: tensor<?x8xf32>, %step: !epi.step) -> tensor<?x8xf32> {
    %0 = epi.output_rows %x, %step : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
  func.func @main(%x: tensor<?x8xf32>, %ids: tensor<?x4xi32>, %s: tensor<?x4xf32>, %step: !epi.step) -> tensor<?x8xf32> {
    %w = exec.load_weight @w : tensor<8x8xf32>
    %xl = ep.shard_rows %x on @world : tensor<?x8xf32>
    %il = ep.shard_rows %ids on @world : tensor<?x4xi32>
    %sl = ep.shard_rows %s on @world : tensor<?x4xf32>
    %p:3 = exec.launch @permute(%xl, %il) : (tensor<?x8xf32>, tensor<?x4xi32>) -> (tensor<?x8xf32>, tensor<?x4xi32>, tensor<8xi32>)
    %r:2 = ep.scatter_experts %p#0, %p#2 on @world {placement = #ep.placement<experts = 8, ranks = 4>}
        : tensor<?x8xf32>, tensor<8xi32> -> tensor<?x8xf32>, tensor<2xi32>
    %e = exec.launch @linear(%r#0, %w) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    %g = ep.gather_experts %e, %p#2, %r#1 on @world : tensor<?x8xf32>, tensor<8xi32>, tensor<2xi32> -> tensor<?x8xf32>
    %u = exec.launch @unpermute(%g, %p#1, %sl) : (tensor<?x8xf32>, tensor<?x4xi32>, tensor<?x4xf32>) -> tensor<?x8xf32>
    %a = ep.all_gather %u on @world : tensor<?x8xf32>
    %c = epi.kv_cache "c" : !epi.mla_cache<latent = 6, rope = 2, f32>
    %d = exec.launch @append(%c, %a, %step)
        : (!epi.mla_cache<latent = 6, rope = 2, f32>, tensor<?x8xf32>, !epi.step) -> !epi.mla_cache<latent = 6, rope = 2, f32>
    %o = exec.launch @output_rows(%a, %step) : (tensor<?x8xf32>, !epi.step) -> tensor<?x8xf32>
    %l = exec.launch @linear(%o, %w) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    return %l : tensor<?x8xf32>
  }
}
)";

class RowExtentsTest : public testing::Test {
protected:
  RowExtentsTest() {
    context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, func::FuncDialect>();
    module = parseSourceString<ModuleOp>(kSchedule, &context);
    function = *module->getOps<func::FuncOp>().begin();
    extents = *RowExtents::compute(function);
  }

  /// The n-th operation of the function.
  Operation &op(int index) { return *std::next(function.getBody().front().begin(), index); }

  RowExtent ofResult(int index, unsigned result = 0) {
    return extents->of(op(index).getResult(result));
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  func::FuncOp function;
  std::optional<RowExtents> extents;
};

TEST_F(RowExtentsTest, FollowsRowsThroughAnExchange) {
  EXPECT_EQ(extents->of(function.getArgument(0)), (RowExtent{Kind::Tokens, 0, 1}));
  EXPECT_EQ(ofResult(0), (RowExtent{Kind::Static, 0, 8})) << "a weight";
  EXPECT_EQ(ofResult(1), (RowExtent{Kind::LocalTokens, 0, 1})) << "shard_rows";
  EXPECT_EQ(ofResult(4, 0), (RowExtent{Kind::LocalTokens, 0, 4})) << "permuted rows";
  EXPECT_EQ(ofResult(4, 1), (RowExtent{Kind::LocalTokens, 0, 1})) << "slots";
  EXPECT_EQ(ofResult(4, 2), (RowExtent{Kind::Static, 0, 8})) << "counts";
  EXPECT_EQ(ofResult(5, 0), (RowExtent{Kind::Received, 0, 1})) << "received rows";
  EXPECT_EQ(ofResult(5, 1), (RowExtent{Kind::Static, 0, 2})) << "received counts";
  EXPECT_EQ(ofResult(6), (RowExtent{Kind::Received, 0, 1})) << "a kernel on received rows";
  EXPECT_EQ(ofResult(7), (RowExtent{Kind::LocalTokens, 0, 4})) << "gathered rows";
  EXPECT_EQ(ofResult(8), (RowExtent{Kind::LocalTokens, 0, 1})) << "unpermuted rows";
  EXPECT_EQ(ofResult(9), (RowExtent{Kind::Tokens, 0, 1})) << "all_gather";
  EXPECT_EQ(ofResult(12), (RowExtent{Kind::Outputs, 0, 1})) << "output_rows";
  EXPECT_EQ(ofResult(13), (RowExtent{Kind::Outputs, 0, 1})) << "the same kernel, on other rows";
  EXPECT_EQ(extents->getExchanges().size(), 1u);
}

TEST_F(RowExtentsTest, CountsTheRowsOfLaunches) {
  auto ofLaunch = [&](int index) { return extents->ofLaunch(cast<exec::LaunchOp>(op(index))); };
  EXPECT_EQ(ofLaunch(4), (RowExtent{Kind::LocalTokens, 0, 1})) << "permute: rows of its input";
  EXPECT_EQ(ofLaunch(6), (RowExtent{Kind::Received, 0, 1}));
  EXPECT_EQ(ofLaunch(8), (RowExtent{Kind::LocalTokens, 0, 1}));
  EXPECT_EQ(ofLaunch(11), (RowExtent{Kind::Tokens, 0, 1})) << "kv_append: rows of what it appends";
  EXPECT_EQ(ofLaunch(13), (RowExtent{Kind::Outputs, 0, 1}));
}

TEST_F(RowExtentsTest, BoundsRowsByTheLimits) {
  EXPECT_EQ(extents->maxRows({Kind::Static, 0, 7}), 7);
  EXPECT_EQ(extents->maxRows({Kind::Tokens, 0, 2}), 20);
  EXPECT_EQ(extents->maxRows({Kind::Outputs, 0, 1}), 3);
  EXPECT_EQ(extents->maxRows({Kind::LocalTokens, 0, 4}), 12) << "ceil(10 / 4) rows, 4 times";
  // 4 ranks send 3 rows each, every one to both local experts at worst.
  EXPECT_EQ(extents->maxRows({Kind::Received, 0, 1}), 24);
  EXPECT_EQ(extents->maxBytes(op(5).getResult(0)), 24 * 8 * 4);
}

TEST_F(RowExtentsTest, RoundsRowsOfADevice) {
  Value permuted = op(4).getResult(0);
  EXPECT_EQ(extents->maxBytes(permuted), 12 * 8 * 4);
  Type f64 = Float64Type::get(&context);
  FloatAttr one = FloatAttr::get(f64, 1.0);
  (*module)->setAttr(exec::kTargetAttrName,
                     exec::TargetAttr::get(&context, StringAttr::get(&context, "cuda:sm_90a"), 1,
                                           256, 16, 1024, one, one, 1, one, 1));
  EXPECT_EQ(extents->maxBytes(permuted), 16 * 8 * 4) << "3 rows, rounded to 4, 4 times";
}

} // namespace
} // namespace epigraph
