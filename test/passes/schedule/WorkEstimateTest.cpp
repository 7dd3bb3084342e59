// Numbers computed by hand for a small schedule on four ranks.
#include "passes/schedule/WorkEstimate.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

using namespace mlir;

namespace epigraph {
namespace {

constexpr char kSchedule[] = R"(
module attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>} {
  ep.mesh @world {expert = 4 : i64, attention = #ep.attention<replicated>}
  exec.weight @table : tensor<100x8xbf16> {
    %0 = epi.weight "table" : tensor<100x8xbf16>
    exec.yield %0 : tensor<100x8xbf16>
  }
  exec.weight @w : tensor<12x8xbf16> {
    %0 = epi.weight "w" : tensor<12x8xbf16>
    exec.yield %0 : tensor<12x8xbf16>
  }
  exec.weight @norm : tensor<8xbf16> {
    %0 = epi.weight "norm" : tensor<8xbf16>
    exec.yield %0 : tensor<8xbf16>
  }
  exec.weight rank_local @experts : tensor<2x8x8xbf16> {
    %0 = epi.weight_stack "e.{}" : tensor<8x8x8xbf16>
    %1 = ep.local_experts %0 {placement = #ep.placement<experts = 8, ranks = 4>} : tensor<8x8x8xbf16> to tensor<2x8x8xbf16>
    exec.yield %1 : tensor<2x8x8xbf16>
  }
  exec.kernel @embedding(%ids: tensor<?xi32>, %t: tensor<100x8xbf16>) -> tensor<?x8xbf16> {
    %0 = epi.embedding %ids, %t : (tensor<?xi32>, tensor<100x8xbf16>) -> tensor<?x8xbf16>
    exec.yield %0 : tensor<?x8xbf16>
  }
  exec.kernel @linear(%x: tensor<?x8xbf16>, %w: tensor<12x8xbf16>) -> tensor<?x12xbf16> {
    %0 = epi.linear %x, %w : (tensor<?x8xbf16>, tensor<12x8xbf16>) -> tensor<?x12xbf16>
    exec.yield %0 : tensor<?x12xbf16>
  }
  exec.kernel @append(%c: !epi.mla_cache<latent = 6, rope = 2, bf16>, %x: tensor<?x12xbf16>, %step: !epi.step)
      -> !epi.mla_cache<latent = 6, rope = 2, bf16> {
    %a, %b, %q = epi.split %x dim 1 : tensor<?x12xbf16> to tensor<?x6xbf16>, tensor<?x2xbf16>, tensor<?x4xbf16>
    %0 = epi.kv_append %c, %a, %b, %step : !epi.mla_cache<latent = 6, rope = 2, bf16>, tensor<?x6xbf16>, tensor<?x2xbf16>
    exec.yield %0 : !epi.mla_cache<latent = 6, rope = 2, bf16>
  }
  exec.kernel @attention(%x: tensor<?x8xbf16>, %c: !epi.mla_cache<latent = 6, rope = 2, bf16>, %step: !epi.step) -> tensor<?x1x6xbf16> {
    %a, %b = epi.split %x dim 1 : tensor<?x8xbf16> to tensor<?x6xbf16>, tensor<?x2xbf16>
    %q = epi.reshape %a : tensor<?x6xbf16> to tensor<?x1x6xbf16>
    %r = epi.reshape %b : tensor<?x2xbf16> to tensor<?x1x2xbf16>
    %0 = epi.mla_attention %q, %r, %c, %step {scale = 1.0 : f64}
        : (tensor<?x1x6xbf16>, tensor<?x1x2xbf16>, !epi.mla_cache<latent = 6, rope = 2, bf16>) -> tensor<?x1x6xbf16>
    exec.yield %0 : tensor<?x1x6xbf16>
  }
  exec.kernel @add_norm(%x: tensor<?x8xbf16>, %y: tensor<?x8xbf16>, %w: tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>) {
    %0 = epi.add %x, %y : tensor<?x8xbf16>
    %1 = epi.rms_norm %0, %w {eps = 1.0e-6 : f64} : tensor<?x8xbf16>, tensor<8xbf16>
    exec.yield %0, %1 : tensor<?x8xbf16>, tensor<?x8xbf16>
  }
  exec.kernel @permute(%x: tensor<?x8xbf16>, %ids: tensor<?x2xi32>) -> (tensor<?x8xbf16>, tensor<?x2xi32>, tensor<8xi32>) {
    %r, %s, %n = epi.permute %x, %ids : tensor<?x8xbf16>, tensor<?x2xi32> -> tensor<?x8xbf16>, tensor<?x2xi32>, tensor<8xi32>
    exec.yield %r, %s, %n : tensor<?x8xbf16>, tensor<?x2xi32>, tensor<8xi32>
  }
  exec.kernel @grouped(%x: tensor<?x8xbf16>, %n: tensor<2xi32>, %w: tensor<2x8x8xbf16>) -> tensor<?x8xbf16> {
    %0 = epi.grouped_linear %x, %n, %w : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x8x8xbf16>) -> tensor<?x8xbf16>
    exec.yield %0 : tensor<?x8xbf16>
  }
  func.func @main(%ids: tensor<?xi32>, %experts: tensor<?x2xi32>, %step: !epi.step) -> tensor<?x8xbf16> {
    %t = exec.load_weight @table : tensor<100x8xbf16>
    %w = exec.load_weight @w : tensor<12x8xbf16>
    %g = exec.load_weight @norm : tensor<8xbf16>
    %e = exec.load_weight @experts : tensor<2x8x8xbf16>
    %x = exec.launch @embedding(%ids, %t) : (tensor<?xi32>, tensor<100x8xbf16>) -> tensor<?x8xbf16>
    %y = exec.launch @linear(%x, %w) : (tensor<?x8xbf16>, tensor<12x8xbf16>) -> tensor<?x12xbf16>
    %c = epi.kv_cache "c" : !epi.mla_cache<latent = 6, rope = 2, bf16>
    %d = exec.launch @append(%c, %y, %step)
        : (!epi.mla_cache<latent = 6, rope = 2, bf16>, tensor<?x12xbf16>, !epi.step) -> !epi.mla_cache<latent = 6, rope = 2, bf16>
    %o = exec.launch @attention(%x, %d, %step)
        : (tensor<?x8xbf16>, !epi.mla_cache<latent = 6, rope = 2, bf16>, !epi.step) -> tensor<?x1x6xbf16>
    %s:2 = exec.launch @add_norm(%x, %x, %g) : (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>)
    %xl = ep.shard_rows %s#1 on @world : tensor<?x8xbf16>
    %il = ep.shard_rows %experts on @world : tensor<?x2xi32>
    %p:3 = exec.launch @permute(%xl, %il) : (tensor<?x8xbf16>, tensor<?x2xi32>) -> (tensor<?x8xbf16>, tensor<?x2xi32>, tensor<8xi32>)
    %r:2 = ep.scatter_experts %p#0, %p#2 on @world {placement = #ep.placement<experts = 8, ranks = 4>}
        : tensor<?x8xbf16>, tensor<8xi32> -> tensor<?x8xbf16>, tensor<2xi32>
    %f = exec.launch @grouped(%r#0, %r#1, %e) : (tensor<?x8xbf16>, tensor<2xi32>, tensor<2x8x8xbf16>) -> tensor<?x8xbf16>
    %b = ep.gather_experts %f, %p#2, %r#1 on @world : tensor<?x8xbf16>, tensor<8xi32>, tensor<2xi32> -> tensor<?x8xbf16>
    %a = ep.all_gather %xl on @world : tensor<?x8xbf16>
    %u = ep.all_reduce %a on @world : tensor<?x8xbf16>
    %v = ep.reduce_scatter %u on @world : tensor<?x8xbf16>
    return %u : tensor<?x8xbf16>
  }
}
)";

class WorkEstimateTest : public testing::Test {
protected:
  WorkEstimateTest() {
    context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, func::FuncDialect>();
    module = parseSourceString<ModuleOp>(kSchedule, &context);
    function = *module->getOps<func::FuncOp>().begin();
  }

  void estimate(const StepShape &step) { work = *WorkEstimate::compute(function, step); }

  Work of(StringRef kernel) {
    for (auto launch : function.getOps<exec::LaunchOp>())
      if (launch.getKernel() == kernel)
        return work->of(launch);
    ADD_FAILURE() << kernel.str();
    return {};
  }

  template <typename Collective> Traffic traffic() {
    return work->trafficOf(*function.getOps<Collective>().begin());
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  func::FuncOp function;
  std::optional<WorkEstimate> work;
};

void expectWork(const Work &work, double flops, double weights, double read, double written,
                double cache) {
  EXPECT_EQ(work.flops, flops);
  EXPECT_EQ(work.weightBytes, weights);
  EXPECT_EQ(work.readBytes, read);
  EXPECT_EQ(work.writtenBytes, written);
  EXPECT_EQ(work.cacheBytes, cache);
}

TEST_F(WorkEstimateTest, CountsEachLaunch) {
  estimate({.tokens = 16, .sequences = 4, .outputs = 4, .context = 32});
  // 16 of 100 rows of the table; ids of four bytes.
  expectWork(of("embedding"), 0, 16 * 8 * 2, 16 * 4, 16 * 8 * 2, 0);
  expectWork(of("linear"), 2 * 16 * 12 * 8, 12 * 8 * 2, 16 * 8 * 2, 16 * 12 * 2, 0);
  // 8 of 12 columns are read, and an entry of 8 is written for each token.
  expectWork(of("append"), 0, 0, 16 * 8 * 2, 0, 16 * 8 * 2);
  // One head: products with 8 elements of a key and 6 of a value, softmax; 4 sequences of 32
  // entries.
  expectWork(of("attention"), 16 * 32 * (2 * 8 + 2 * 6 + 4), 0, 16 * 8 * 2, 16 * 6 * 2,
             4 * 32 * 8 * 2);
  // The sum is written, but not read again.
  expectWork(of("add_norm"), 16 * 8 * (1 + 4), 8 * 2, 2 * 16 * 8 * 2, 2 * 16 * 8 * 2, 0);
  // A rank's 4 rows, each twice; slots and counts.
  expectWork(of("permute"), 0, 0, 4 * (8 * 2 + 2 * 4), 8 * 8 * 2 + 4 * 2 * 4 + 8 * 4, 0);
  // Every rank gets 8 rows, which is more than its 2 experts.
  expectWork(of("grouped"), 2 * 8 * 8 * 8, 2 * 8 * 8 * 2, 8 * 8 * 2 + 2 * 4, 8 * 8 * 2, 0);
  EXPECT_EQ(work->total().flops, 3072 + 16384 + 640 + 1024);
}

TEST_F(WorkEstimateTest, ReadsOnlyTheExpertsThatCanHaveRows) {
  estimate({.tokens = 1, .sequences = 1, .outputs = 1, .context = 32});
  // 2 rows at most touch both experts...
  EXPECT_EQ(of("grouped").weightBytes, 2 * 8 * 8 * 2);
  // ... and one row of the table.
  EXPECT_EQ(of("embedding").weightBytes, 8 * 2);
  EXPECT_EQ(of("linear").weightBytes, 12 * 8 * 2) << "a projection reads its weight whole";
  EXPECT_EQ(of("attention").cacheBytes, 32 * 8 * 2);
}

TEST_F(WorkEstimateTest, CountsWhatARankSends) {
  estimate({.tokens = 16, .sequences = 4, .outputs = 4, .context = 32});
  const double row = 8 * 2;
  EXPECT_EQ(traffic<ep::ShardRowsOp>().bytes, 0);
  // Three quarters of 8 permuted rows and of 8 counts.
  EXPECT_EQ(traffic<ep::ScatterExpertsOp>().messages, 3);
  EXPECT_EQ(traffic<ep::ScatterExpertsOp>().bytes, 0.75 * (8 * row + 8 * 4));
  EXPECT_EQ(traffic<ep::GatherExpertsOp>().bytes, 0.75 * 8 * row);
  // Its 4 rows to each of three.
  EXPECT_EQ(traffic<ep::AllGatherOp>().messages, 3);
  EXPECT_EQ(traffic<ep::AllGatherOp>().bytes, 3 * 4 * row);
  EXPECT_EQ(traffic<ep::ReduceScatterOp>().bytes, 0.75 * 16 * row);
  EXPECT_EQ(traffic<ep::AllReduceOp>().messages, 6);
  EXPECT_EQ(traffic<ep::AllReduceOp>().bytes, 2 * 0.75 * 16 * row);
}

} // namespace
} // namespace epigraph
