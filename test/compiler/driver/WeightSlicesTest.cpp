#include "compiler/driver/WeightSlices.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include "codegen/reference/WeightProgram.h"

namespace epigraph {
namespace {

/// Ranks 0 and 1 are the members of the first group.
constexpr reference::MeshShape kMesh{2, 2};

class WeightSlicesTest : public testing::Test {
protected:
  WeightSlicesTest() { context_.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect>(); }

  /// The weight that `text` declares.
  exec::WeightOp parse(llvm::StringRef text) {
    module_ = mlir::parseSourceString<mlir::ModuleOp>(text, &context_);
    EXPECT_TRUE(module_);
    return *module_->getOps<exec::WeightOp>().begin();
  }

  std::vector<float> evaluate(exec::WeightOp weight, int rank) {
    reference::RandomWeights source(7);
    reference::WeightOptions options;
    options.rank = rank;
    options.mesh = kMesh;
    auto values = reference::evaluateWeight(weight, source, options);
    EXPECT_TRUE(succeeded(values));
    return succeeded(values) ? (*values)->floatVector() : std::vector<float>();
  }

  mlir::MLIRContext context_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
};

/// Counts what is loaded.
class CountingWeights : public reference::WeightSource {
public:
  absl::StatusOr<reference::Tensor> load(std::string_view name,
                                         mlir::RankedTensorType type) override {
    ++wholes;
    return source.load(name, type);
  }
  absl::StatusOr<reference::Tensor> loadRows(std::string_view name, mlir::RankedTensorType type,
                                             int64_t begin, int64_t end) override {
    rows += end - begin;
    return source.loadRows(name, type, begin, end);
  }

  int64_t rows = 0, wholes = 0;

private:
  reference::RandomWeights source{7};
};

constexpr const char *kExperts = R"(
  exec.weight rank_local @experts : tensor<2x6x4xf32, #exec.panel<columns = 2, depth = 1>> {
    %gate = epi.weight_stack "e.{}.gate" : tensor<4x3x4xbf16>
    %0 = ep.local_experts %gate {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x3x4xbf16> to tensor<2x3x4xbf16>
    %1 = epi.cast %0 : tensor<2x3x4xbf16> to tensor<2x3x4xf32>
    %up = epi.weight_stack "e.{}.up" : tensor<4x4x3xf32>
    %2 = ep.local_experts %up {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x4x3xf32> to tensor<2x4x3xf32>
    %3 = epi.transpose %2 [0, 2, 1] : tensor<2x4x3xf32> to tensor<2x3x4xf32>
    %4 = epi.concat %1, %3 dim 1 : tensor<2x3x4xf32>, tensor<2x3x4xf32> to tensor<2x6x4xf32>
    %5 = exec.pack %4 : tensor<2x6x4xf32> to tensor<2x6x4xf32, #exec.panel<columns = 2, depth = 1>>
    exec.yield %5 : tensor<2x6x4xf32, #exec.panel<columns = 2, depth = 1>>
  })";

/// Replicas of experts in any order, each cut in its last dimension.
constexpr const char *kReplicas = R"(
  exec.weight rank_local @experts : tensor<2x3x2xf32> {
    %down = epi.weight_stack "e.{}.down" : tensor<3x3x4xf32>
    %0 = ep.local_shard %down {axis = #ep.axis<tensor>, dim = 2 : i64, parts = 2 : i64} : tensor<3x3x4xf32> to tensor<3x3x2xf32>
    %1 = ep.local_experts %0 {placement = #ep.placement<experts = 3, ranks = 2, slots = [2, 0, 1, 2]>} : tensor<3x3x2xf32> to tensor<2x3x2xf32>
    exec.yield %1 : tensor<2x3x2xf32>
  })";

/// All experts in one tensor, gate and up in turns, as gpt-oss has them.
constexpr const char *kFused = R"(
  exec.weight rank_local @experts : tensor<2x3x4xf32> {
    %both = epi.weight "experts.gate_up_proj" : tensor<4x4x6xbf16>
    %0 = epi.transpose %both [0, 2, 1] : tensor<4x4x6xbf16> to tensor<4x6x4xbf16>
    %1 = epi.reshape %0 : tensor<4x6x4xbf16> to tensor<4x3x2x4xbf16>
    %2, %3 = epi.split %1 dim 2 : tensor<4x3x2x4xbf16> to tensor<4x3x1x4xbf16>, tensor<4x3x1x4xbf16>
    %4 = epi.reshape %3 : tensor<4x3x1x4xbf16> to tensor<4x3x4xbf16>
    %5 = ep.local_experts %4 {placement = #ep.placement<experts = 4, ranks = 2>} : tensor<4x3x4xbf16> to tensor<2x3x4xbf16>
    %6 = epi.cast %5 : tensor<2x3x4xbf16> to tensor<2x3x4xf32>
    exec.yield %6 : tensor<2x3x4xf32>
  })";

TEST_F(WeightSlicesTest, OneExpertOfAFusedTensorIsReadAlone) {
  for (int64_t index : {0, 1})
    for (int rank : {0, 2}) {
      mlir::OwningOpRef<exec::WeightOp> slice = sliceWeight(parse(kFused), kMesh, rank, index);
      ASSERT_TRUE(slice);
      CountingWeights source;
      reference::WeightOptions options;
      options.rank = rank;
      options.mesh = kMesh;
      ASSERT_TRUE(succeeded(reference::evaluateWeight(*slice, source, options)));
      EXPECT_EQ(source.rows, 1);
      EXPECT_EQ(source.wholes, 0);
    }
}

TEST_F(WeightSlicesTest, PartsAndReplicasAreWhereTheMeshSays) {
  exec::WeightOp whole = parse(R"(exec.weight @all : tensor<3x3x4xf32> {
    %0 = epi.weight_stack "e.{}.down" : tensor<3x3x4xf32>
    exec.yield %0 : tensor<3x3x4xf32>
  })");
  std::vector<float> all = evaluate(whole, 0);
  exec::WeightOp weight = parse(kReplicas);
  const int64_t experts[2][2] = {{2, 0}, {1, 2}};
  for (int rank = 0; rank < 4; ++rank) {
    std::vector<float> mine = evaluate(weight, rank), expected;
    for (int64_t expert : experts[rank / 2])
      for (int64_t row = 0; row < 3; ++row)
        for (int64_t column : {0, 1})
          expected.push_back(
              all[static_cast<size_t>((expert * 3 + row) * 4 + rank % 2 * 2 + column)]);
    EXPECT_EQ(mine, expected) << "rank " << rank;
  }
}

class WeightSlicesOfTest : public WeightSlicesTest,
                           public testing::WithParamInterface<const char *> {};
INSTANTIATE_TEST_SUITE_P(Programs, WeightSlicesOfTest,
                         testing::Values(kExperts, kReplicas, kFused));

TEST_P(WeightSlicesOfTest, RowsAreThoseOfTheWhole) {
  exec::WeightOp weight = parse(GetParam());
  for (int rank = 0; rank < 4; ++rank) {
    std::vector<float> rows;
    for (int64_t index : {0, 1}) {
      mlir::OwningOpRef<exec::WeightOp> slice = sliceWeight(weight, kMesh, rank, index);
      ASSERT_TRUE(slice);
      EXPECT_TRUE(succeeded(mlir::verify(*slice)));
      std::vector<float> row = evaluate(*slice, rank);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    EXPECT_EQ(rows, evaluate(weight, rank)) << "rank " << rank;
  }
}

TEST_F(WeightSlicesTest, NotWhereRowsMix) {
  const char *kPrograms[] = {
      R"(exec.weight @w : tensor<4x2x2xf32> {
        %0 = epi.weight_stack "e.{}" : tensor<2x2x2xf32>
        %1 = epi.concat %0, %0 dim 0 : tensor<2x2x2xf32>, tensor<2x2x2xf32> to tensor<4x2x2xf32>
        exec.yield %1 : tensor<4x2x2xf32>
      })",
      R"(exec.weight @w : tensor<3x2x2xf32> {
        %0 = epi.weight_stack "e.{}" : tensor<2x3x2xf32>
        %1 = epi.transpose %0 [1, 0, 2] : tensor<2x3x2xf32> to tensor<3x2x2xf32>
        exec.yield %1 : tensor<3x2x2xf32>
      })",
      R"(exec.weight @w : tensor<2x2x2xf32> {
        %0 = epi.weight "all" : tensor<4x2xf32>
        %1 = epi.reshape %0 : tensor<4x2xf32> to tensor<2x2x2xf32>
        exec.yield %1 : tensor<2x2x2xf32>
      })"};
  for (const char *program : kPrograms)
    EXPECT_FALSE(sliceWeight(parse(program), {}, 0, 0)) << program;
}

} // namespace
} // namespace epigraph
