// Plans for devices: what the verifier accepts, what it refuses, and how kernels get to drivers.
#include <functional>

#include "runtime/artifact/DeviceRows.h"
#include "runtime/artifact/Plan.h"
#include "runtime/artifact/PlanText.h"
#include "test/runtime/artifact/SamplePlan.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using plan::RowKind;
using plan::Rows;

plan::DeviceLaunchT &skinny(plan::PlanT &plan) {
  return *plan.kernels[0]->variants[0]->launches[0];
}
plan::DeviceLaunchT &parts(plan::PlanT &plan) { return *plan.kernels[0]->variants[1]->launches[0]; }
plan::DeviceLaunchT &merge(plan::PlanT &plan) { return *plan.kernels[0]->variants[1]->launches[1]; }
plan::TensorMapT &map(plan::PlanT &plan) { return *merge(plan).maps[0]; }
plan::BufferT &buffer(plan::PlanT &plan, size_t index) {
  return *plan.functions[0]->buffers[index];
}

TEST(DevicePlanTest, AcceptsTheSample) {
  absl::StatusOr<Plan> parsed = Plan::parse(packPlan(sampleDevicePlan()), "f");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(isDevicePlan(**parsed));
  EXPECT_FALSE(isDevicePlan(**Plan::parse(packPlan(samplePlan()), "f")));
}

TEST(DevicePlanTest, GivesItsKernelsToDrivers) {
  const Plan plan = Plan::parse(packPlan(sampleDevicePlan()), "f").value();
  const std::vector<DeviceKernel> kernels = kernelsOf(*plan);
  ASSERT_EQ(kernels.size(), 1u);
  EXPECT_EQ(kernels[0].name, "cpu_bf16_linear_0");
  ASSERT_EQ(kernels[0].variants.size(), 2u);
  EXPECT_EQ(kernels[0].variants[0].mostRows, 4u);
  EXPECT_TRUE(kernels[0].variants[0].oneTokenEach);
  const std::vector<DeviceLaunch> &launches = kernels[0].variants[1].launches;
  ASSERT_EQ(launches.size(), 2u);
  EXPECT_EQ(launches[0].symbol, "linear_0_parts");
  EXPECT_EQ(launches[0].threads, 384u);
  EXPECT_EQ(launches[0].sharedBytes, 65536u);
  EXPECT_EQ(launches[0].cluster, 2u);
  EXPECT_EQ(launches[0].grid, DeviceGrid::TokenItems);
  EXPECT_EQ(launches[0].columnTiles, 2u);
  EXPECT_EQ(launches[1].rowTile, 16u);
  EXPECT_EQ(launches[1].blocksPerCore, 2u);
  ASSERT_EQ(launches[1].maps.size(), 1u);
  EXPECT_EQ(launches[1].maps[0].element, DType::F32);
  EXPECT_EQ(launches[1].maps[0].sizes, (std::vector<uint64_t>{4, 0}));
  EXPECT_EQ(launches[1].maps[0].strides, (std::vector<uint64_t>{16}));
  EXPECT_EQ(launches[1].maps[0].box, (std::vector<uint32_t>{4, 64}));
}

TEST(DevicePlanTest, RoundsRowsToWhatTensorMapsWant) {
  const Plan plan = Plan::parse(packPlan(sampleDevicePlan()), "f").value();
  const DeviceRows rows(*plan, *plan.function("main"));
  EXPECT_EQ(rows.most(Rows(RowKind::Static, 0, 5)), 5u);
  EXPECT_EQ(rows.most(Rows(RowKind::Tokens, 0, 1)), 8u); // 7 tokens
  EXPECT_EQ(rows.most(Rows(RowKind::Tokens, 0, 2)), 16u);
  EXPECT_EQ(rows.most(Rows(RowKind::Outputs, 0, 1)), 4u); // 3 sequences
  EXPECT_EQ(rows.most(Rows(RowKind::Received, 0, 1)), 8u);
  EXPECT_EQ(rows.room(plan::Ref(plan::RefKind::Input, 0)), 8u);
  EXPECT_EQ(rows.room(plan::Ref(plan::RefKind::Weight, 0)), std::nullopt);
}

TEST(DevicePlanTest, RoundsReceivedRowsDown) {
  plan::PlanT sample = sampleDevicePlan();
  buffer(sample, 3).bytes = 7 * 64;
  const std::vector<uint8_t> bytes = packPlan(sample);
  const plan::Plan &plan = *plan::GetPlan(bytes.data());
  const DeviceRows rows(plan, *plan.functions()->Get(0));
  EXPECT_EQ(rows.most(Rows(RowKind::Received, 0, 1)), 4u);
  EXPECT_EQ(rows.most(Rows(RowKind::Received, 0, 2)), 8u);
  EXPECT_EQ(rows.most(Rows(RowKind::Received, 1, 1)), 0u); // no such exchange
}

TEST(DevicePlanTest, PrintsVariants) {
  std::string text = printPlan(Plan::parse(packPlan(sampleDevicePlan()), "f").value());
  for (const char *lines : {
           "workspace 1048576, token items 66, region 4096\n",
           "kernel cpu_bf16_linear_0\n"
           "  up to 4 rows, one token of each sequence\n"
           "    linear_0_skinny: blocks rows/1 x 3 of 128 threads, 0 bytes shared, early\n"
           "  any rows\n"
           "    linear_0_parts: blocks token items x 2 of 384 threads, 65536 bytes shared, "
           "clusters of 2\n"
           "    linear_0_merge: blocks rows/16 x 1 of 32 threads, 0 bytes shared, at most 2 a "
           "core\n"
           "      argument 0 as f32 [4, rows] strides [16] box [4, 64] swizzle 0\n",
       })
    EXPECT_THAT(text, testing::HasSubstr(lines));
}

struct Refusal {
  std::function<void(plan::PlanT &)> change;
  std::string message;
};

void expectRefusals(const std::vector<Refusal> &refusals) {
  for (const Refusal &refusal : refusals) {
    SCOPED_TRACE(refusal.message);
    plan::PlanT sample = sampleDevicePlan();
    refusal.change(sample);
    expectError(Plan::parse(packPlan(sample), "f"), absl::StatusCode::kInvalidArgument,
                refusal.message);
  }
}

TEST(DevicePlanTest, RefusesVariants) {
  expectRefusals({
      {[](auto &plan) {
         plan.kernels.push_back(std::make_unique<plan::KernelT>());
         plan.kernels[1]->symbol = "other";
       },
       "kernels[1].variants: all kernels of a plan have variants, or none"},
      {[](auto &plan) { plan.kernels[0]->variants.pop_back(); },
       "kernels[0].variants[0]: the last variant must fit any step"},
      {[](auto &plan) { plan.kernels[0]->variants[1]->most_rows = 8; },
       "kernels[0].variants[1]: the last variant must fit any step"},
      {[](auto &plan) { plan.kernels[0]->variants[0]->launches.clear(); },
       "kernels[0].variants[0].launches: expected at least one"},
      {[](auto &plan) { plan.workspace_bytes = uint64_t{1} << 63; }, "workspace_bytes"},
      {[](auto &plan) { plan.region_bytes = uint64_t{1} << 63; }, "region_bytes"},
  });
}

TEST(DevicePlanTest, RefusesLaunches) {
  expectRefusals({
      {[](auto &plan) { skinny(plan).symbol = "a b"; }, ".symbol: expected a C identifier"},
      {[](auto &plan) { skinny(plan).threads = 0; }, ".threads: expected 1 to 1024, found 0"},
      {[](auto &plan) { skinny(plan).threads = 1025; }, ".threads: expected 1 to 1024, found 1025"},
      {[](auto &plan) { skinny(plan).shared_bytes = 232449; },
       ".shared_bytes: expected 0 to 232448, found 232449"},
      {[](auto &plan) { skinny(plan).cluster = 9; }, ".cluster: expected 1 to 8, found 9"},
      {[](auto &plan) { skinny(plan).cluster = 0; }, ".cluster: expected 1 to 8, found 0"},
      {[](auto &plan) { skinny(plan).column_tiles = 0; }, ".column_tiles: expected 1 to"},
      {[](auto &plan) { skinny(plan).column_tiles = INT32_MAX; }, ": blocks: expected 0 to"},
      {[](auto &plan) { skinny(plan).grid = static_cast<plan::DeviceGrid>(3); },
       ".grid: unknown value 3"},
      {[](auto &plan) { parts(plan).row_tile = 1; },
       ".row_tile: a launch over items has no tiles of rows"},
      {[](auto &plan) { parts(plan).column_tiles = INT32_MAX; }, ": blocks: expected 1 to"},
      {[](auto &plan) { plan.token_items = 0; }, "token_items is 0"},
      {[](auto &plan) {
         merge(plan).maps.resize(17);
         std::generate(merge(plan).maps.begin(), merge(plan).maps.end(),
                       [] { return std::make_unique<plan::TensorMapT>(); });
       },
       ".maps: expected 0 to 16, found 17"},
  });
}

TEST(DevicePlanTest, RefusesTensorMaps) {
  expectRefusals({
      {[](auto &plan) { map(plan).element = static_cast<plan::DType>(9); },
       ".element: unknown value 9"},
      {[](auto &plan) { map(plan).sizes = {}; }, ".sizes: rank: expected 1 to 5, found 0"},
      {[](auto &plan) { map(plan).sizes.resize(6); }, ".sizes: rank: expected 1 to 5, found 6"},
      {[](auto &plan) { map(plan).strides = {}; }, "2 sizes, 2 sizes of the box and 0 strides"},
      {[](auto &plan) { map(plan).box = {4}; }, "2 sizes, 1 sizes of the box and 1 strides"},
      {[](auto &plan) { map(plan).sizes = {0, 0}; }, ".sizes: more than one is 0"},
      {[](auto &plan) { map(plan).sizes[0] = uint64_t{1} << 33; }, ".sizes[0]: expected 0 to"},
      {[](auto &plan) { map(plan).strides[0] = 24; }, ".strides[0]: 24 is not a multiple of 16"},
      {[](auto &plan) { map(plan).strides[0] = uint64_t{1} << 40; }, ".strides[0]: expected 0 to"},
      {[](auto &plan) { map(plan).box[1] = 257; }, ".box[1]: expected 1 to 256, found 257"},
      {[](auto &plan) { map(plan).box[0] = 3; }, ".box[0]: rows of 12 bytes"},
      {[](auto &plan) { map(plan).swizzle_bytes = 16; }, ".swizzle_bytes: expected 0, 32, 64 or"},
      {[](auto &plan) {
         map(plan).box[0] = 16;
         map(plan).swizzle_bytes = 32;
       },
       ".box[0]: rows of 64 bytes"},
  });
}

/// A map is checked against the operands of every launch of its kernel.
TEST(DevicePlanTest, RefusesMapsBeyondTheirOperands) {
  expectRefusals({
      {[](auto &plan) { map(plan).operand = 2; }, "steps[3] (mlp.experts) (linear_0_merge, variant "
                                                  "1).maps[0].operand: 2 does not exist; there "
                                                  "are 2"},
      {[](auto &plan) { map(plan).sizes[1] = 9; }, "covers 144 bytes of operand 0, which has 128"},
      {[](auto &plan) { map(plan).strides[0] = 0; },
       "covers 240 bytes of operand 0, which has 128"}, // 8 columns, 8 numbers apart
      {[](auto &plan) {
         map(plan).sizes = {16, 33};
         map(plan).strides = {32};
         map(plan).operand = 1;
       },
       "operand 1, which has 1024"},
      {[](auto &plan) { map(plan).operand = 1; }, "operand 1 has no rows that a 0 could stand for"},
  });
}

/// Device kernels may write a few rows more than the step has.
TEST(DevicePlanTest, RefusesBuffersWithoutRoomToTheMultiple) {
  expectRefusals({
      {[](auto &plan) { buffer(plan, 0).bytes = 7 * 64; },
       "buffers[0].bytes: 448 cannot hold 8 rows of 64 bytes"},
      {[](auto &plan) { buffer(plan, 3).bytes = 3 * 64; },
       "buffers[3].bytes: 192 cannot hold 4 rows of 64 bytes"},
  });
}

/// The sample with an exchange through the memory of peers: the first launch gives the rows that
/// arrive, buffer 3, and how many, buffer 2.
plan::PlanT exchangePlan() {
  plan::PlanT sample = sampleDevicePlan();
  sample.region_bytes = 4096;
  plan::FunctionT &main = *sample.functions[0];
  main.exchanges = {plan::Ref(plan::RefKind::Buffer, 2)};
  std::vector<std::unique_ptr<plan::StepT>> steps;
  steps.push_back(std::move(main.steps[0]));
  steps.push_back(std::move(main.steps[3]));
  main.steps = std::move(steps);
  static_cast<plan::LaunchT *>(main.steps[0]->op.value)
      ->args.insert(static_cast<plan::LaunchT *>(main.steps[0]->op.value)->args.end(),
                    {plan::Ref(plan::RefKind::Buffer, 2), plan::Ref(plan::RefKind::Buffer, 3)});
  return sample;
}

TEST(DevicePlanTest, ExchangesThroughTheMemoryOfPeers) {
  const absl::StatusOr<Plan> plan = Plan::parse(packPlan(exchangePlan()), "f");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(printPlan(*plan), testing::HasSubstr("  received(0) in %2\n"));
  EXPECT_THAT(printPlan(*plan), testing::HasSubstr(", region 4096"));
}

TEST(DevicePlanTest, RefusesExchanges) {
  const auto refuse = [](const std::function<void(plan::PlanT &)> &change, const char *message) {
    plan::PlanT sample = exchangePlan();
    change(sample);
    expectError(Plan::parse(packPlan(sample), "f"), absl::StatusCode::kInvalidArgument, message);
  };
  refuse([](plan::PlanT &plan) { plan.region_bytes = 0; },
         ".exchanges: expected device kernels, a region, and no ScatterExperts");
  refuse(
      [](plan::PlanT &plan) {
        plan.functions[0]->exchanges = {plan::Ref(plan::RefKind::Buffer, 0)};
      },
      ".exchanges[0]: expected Static rows of I32");
  refuse([](plan::PlanT &plan) { plan.functions[0]->exchanges.clear(); },
         "no step scatters exchange 0");
  refuse(
      [](plan::PlanT &plan) {
        std::swap(plan.functions[0]->steps[0], plan.functions[0]->steps[1]);
      },
      "uses rows of exchange 0 before it is scattered");
}

} // namespace
} // namespace epigraph
