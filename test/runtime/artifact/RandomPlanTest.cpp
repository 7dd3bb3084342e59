// What plans may say of weights that are made at load.
#include <functional>
#include <limits>

#include "runtime/artifact/Plan.h"
#include "runtime/artifact/PlanText.h"
#include "test/runtime/artifact/SamplePlan.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

/// The sample's weight, [32, 16], made of two tensors of 24 and 8 rows.
plan::PlanT randomPlan() {
  plan::PlanT plan = samplePlan();
  plan.random = std::make_unique<plan::RandomWeightsT>();
  plan.random->seed = 7;
  auto random = std::make_unique<plan::RandomWeightT>();
  for (uint64_t rows : {24, 8}) {
    auto part = std::make_unique<plan::RandomPartT>();
    part->values = std::make_unique<plan::RandomTensorT>();
    part->values->tensor = rows == 24 ? "first" : "second";
    part->values->dtype = plan::DType::BF16;
    part->values->spread = 0.5f;
    part->rows = rows;
    part->columns = part->row_stride = 16;
    part->column_stride = 1;
    random->parts.push_back(std::move(part));
  }
  plan.weights[0]->random = std::move(random);
  return plan;
}

plan::RandomWeightT &random(plan::PlanT &plan) { return *plan.weights[0]->random; }
plan::RandomPartT &part(plan::PlanT &plan) { return *random(plan).parts[0]; }

TEST(RandomPlanTest, SaysItInWords) {
  const absl::StatusOr<Plan> plan = Plan::parse(packPlan(randomPlan()), "f");
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::string text = printPlan(*plan);
  EXPECT_THAT(text, testing::HasSubstr("random weights of seed 7"));
  EXPECT_THAT(text, testing::HasSubstr("random: 24x16 of first (0 +- 0.5) and 8x16 of second"));
}

TEST(RandomPlanTest, TakesPanels) {
  plan::PlanT plan = randomPlan();
  plan.weights[0]->shape = {3, 8, 12, 2}; // 32 rows in panels of 12
  random(plan).rows = 32;
  random(plan).columns = 16;
  EXPECT_TRUE(Plan::parse(packPlan(plan), "f").ok());
  random(plan).rows = 40;
  expectError(Plan::parse(packPlan(plan), "f"), absl::StatusCode::kInvalidArgument,
              ".parts: 512 elements, for matrices of 0");
}

TEST(RandomPlanTest, Refuses) {
  struct Refusal {
    std::function<void(plan::PlanT &)> spoil;
    const char *message;
  };
  const Refusal refusals[] = {
      {[](auto &plan) { plan.random.reset(); }, "the plan has no seed"},
      {[](auto &plan) { plan.random->kernel = std::make_unique<plan::KernelT>(); },
       "random.kernel: expected exactly where kernels are a device's"},
      {[](auto &plan) { plan.weights[0]->dtype = plan::DType::I32; },
       "random weights are floating-point"},
      {[](auto &plan) { random(plan).parts.pop_back(); },
       "weights[0].random.parts: 384 elements, for matrices of 512"},
      {[](auto &plan) { random(plan).matrices = {0, 1}; }, ".matrices: 2 of them for 32"},
      {[](auto &plan) { part(plan).rows = 0; }, "parts[0]: expected 1 to"},
      {[](auto &plan) { part(plan).rows = uint64_t{1} << 62; }, "parts[0]: expected 1 to"},
      {[](auto &plan) { part(plan).first = uint64_t{1} << 63; }, "reaches beyond any tensor"},
      {[](auto &plan) { part(plan).row_stride = uint64_t{1} << 60; }, "reaches beyond any tensor"},
      {[](auto &plan) { part(plan).shards.emplace_back(1, 0, plan::Axis::Tensor); },
       "shards[0].parts: expected at least 1"},
      {[](auto &plan) { part(plan).shards.emplace_back(1, 2, static_cast<plan::Axis>(2)); },
       "shards[0].axis: unknown value 2"},
      {[](auto &plan) { part(plan).values->tensor = "a\n"; }, ".values.tensor: expected a name"},
      {[](auto &plan) { part(plan).values->dtype = plan::DType::I32; },
       ".values.dtype: random values are floating-point"},
      {[](auto &plan) { part(plan).values->spread = std::numeric_limits<float>::infinity(); },
       ".values: center and spread must be finite"},
      {[](auto &plan) {
         part(plan).scales = std::make_unique<plan::RandomTensorT>(*part(plan).values);
       },
       ".tensor_columns: expected 1 to"},
  };
  for (const Refusal &refusal : refusals) {
    plan::PlanT plan = randomPlan();
    refusal.spoil(plan);
    expectError(Plan::parse(packPlan(plan), "f"), absl::StatusCode::kInvalidArgument,
                refusal.message);
  }
}

} // namespace
} // namespace epigraph
