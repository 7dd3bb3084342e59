#include "runtime/exec/RandomRuns.h"

#include <algorithm>
#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "runtime/base/BFloat16.h"
#include "runtime/base/Float8.h"

namespace epigraph {
namespace {

using testing::Each;
using testing::ElementsAreArray;

constexpr uint64_t kSeed = 3;

/// A plan of `ranks` ranks in groups of `tensor`, with one weight that is `random`.
class RandomRunsTest : public testing::Test {
protected:
  std::unique_ptr<plan::RandomPartT> partOf(const char *tensor, uint64_t rows, uint64_t columns,
                                            plan::DType dtype = plan::DType::F32) {
    auto part = std::make_unique<plan::RandomPartT>();
    part->values = std::make_unique<plan::RandomTensorT>();
    part->values->tensor = tensor;
    part->values->dtype = dtype;
    part->values->spread = 1;
    part->rows = rows;
    part->columns = part->row_stride = columns;
    part->column_stride = 1;
    return part;
  }

  /// The weight as `rank` has it, in float32.
  std::vector<float> make(uint32_t rank = 0) {
    plan.random = std::make_unique<plan::RandomWeightsT>();
    plan.random->seed = kSeed;
    plan.limits = std::make_unique<plan::LimitsT>();
    auto added = std::make_unique<plan::WeightT>(weight);
    added->name = "w";
    added->random = std::make_unique<plan::RandomWeightT>(random);
    plan.weights.clear();
    plan.weights.push_back(std::move(added));
    flatbuffers::FlatBufferBuilder builder;
    plan::FinishPlanBuffer(builder, plan::Plan::Pack(builder, &plan));
    const plan::Plan &packed = *plan::GetPlan(builder.GetBufferPointer());
    const plan::Weight &stored = *packed.weights()->Get(0);
    std::vector<uint8_t> bytes(weightBytes(stored));
    ThreadPool threads(2, /*spin=*/false);
    makeRandomWeight(stored, randomRuns(packed, stored, rank), absl::MakeSpan(bytes), threads);
    return floatsOf(bytes);
  }

  std::vector<float> floatsOf(const std::vector<uint8_t> &bytes) const {
    const size_t width = elementBytes(weight.dtype);
    std::vector<float> floats;
    for (size_t at = 0; at < bytes.size(); at += width) {
      uint16_t half = 0;
      float whole = 0;
      if (weight.dtype == plan::DType::F8E4M3)
        whole = floatOfFloat8(bytes[at]);
      else if (weight.dtype == plan::DType::BF16)
        std::memcpy(&half, &bytes[at], 2), whole = floatOfBFloat16(half);
      else
        std::memcpy(&whole, &bytes[at], 4);
      floats.push_back(whole);
    }
    return floats;
  }

  /// Values [first, first + count) of the tensor `name`.
  static std::vector<float> valuesOf(const std::string &name, uint64_t first, uint64_t count) {
    std::vector<float> values;
    for (uint64_t i = first; i < first + count; ++i)
      values.push_back(randomValue(randomKey(name, kSeed), i, {0, 1}));
    return values;
  }

  plan::PlanT plan;
  plan::WeightT weight;
  plan::RandomWeightT random;
};

TEST_F(RandomRunsTest, ValuesAreUniform) {
  const std::vector<float> values = valuesOf("w", 0, 100000);
  double sum = 0, squares = 0;
  for (float value : values) {
    sum += value;
    squares += double{value} * value;
  }
  EXPECT_NEAR(sum / 1e5, 0, 0.01);
  EXPECT_NEAR(squares / 1e5, 1.0 / 3, 0.01);
  EXPECT_THAT(values, Each(testing::AllOf(testing::Ge(-1), testing::Lt(1))));
  EXPECT_NE(valuesOf("v", 0, 4), valuesOf("w", 0, 4));
}

TEST_F(RandomRunsTest, JoinsRows) {
  weight.shape = {3, 4};
  random.parts.push_back(partOf("a", 2, 4));
  random.parts.push_back(partOf("b", 1, 4));
  std::vector<float> expected = valuesOf("a", 0, 8);
  const std::vector<float> more = valuesOf("b", 0, 4);
  expected.insert(expected.end(), more.begin(), more.end());
  EXPECT_THAT(make(), ElementsAreArray(expected));
}

TEST_F(RandomRunsTest, TurnsAPartOfATensor) {
  // Columns 1 and 2 of a tensor of 3 rows and 5 columns, transposed.
  weight.shape = {2, 3};
  random.parts.push_back(partOf("a", 2, 3));
  random.parts[0]->first = 1;
  random.parts[0]->row_stride = 1;
  random.parts[0]->column_stride = 5;
  const std::vector<float> a = valuesOf("a", 0, 15);
  EXPECT_THAT(make(), ElementsAreArray({a[1], a[6], a[11], a[2], a[7], a[12]}));
}

TEST_F(RandomRunsTest, RanksHoldTheirExperts) {
  plan.ranks = 2;
  weight.shape = {2, 1, 4};
  random.parts.push_back(partOf("e.{}.w", 1, 4));
  random.matrices = {0, 1, 2, 0}; // the last is a replica
  const std::vector<float> zero = valuesOf("e.0.w", 0, 4), two = valuesOf("e.2.w", 0, 4);
  std::vector<float> expected = two;
  expected.insert(expected.end(), zero.begin(), zero.end());
  EXPECT_THAT(make(/*rank=*/1), ElementsAreArray(expected));
}

TEST_F(RandomRunsTest, RanksHoldTheirShards) {
  plan.ranks = 4;
  plan.tensor = 4;
  weight.shape = {1, 4};
  random.parts.push_back(partOf("a", 1, 4));
  random.parts[0]->shards.emplace_back(4, 2, plan::Axis::Tensor); // two ranks hold each
  for (uint32_t rank = 0; rank < 4; ++rank)
    EXPECT_THAT(make(rank), ElementsAreArray(valuesOf("a", rank / 2 * 4, 4)));
}

TEST_F(RandomRunsTest, FillsPanels) {
  weight.shape = {2, 2, 2, 2}; // of 3 rows and 3 columns
  random.rows = random.columns = 3;
  random.parts.push_back(partOf("a", 3, 3));
  const std::vector<float> a = valuesOf("a", 0, 9);
  EXPECT_THAT(make(), ElementsAreArray({a[0], a[1], a[3], a[4], a[2], 0.f, a[5], 0.f, //
                                        a[6], a[7], 0.f, 0.f, a[8], 0.f, 0.f, 0.f}));
}

TEST_F(RandomRunsTest, DequantizesByBlocks) {
  weight.shape = {129, 130};
  weight.dtype = plan::DType::BF16;
  random.parts.push_back(partOf("a", 129, 130, plan::DType::F8E4M3));
  random.parts[0]->scales = std::make_unique<plan::RandomTensorT>();
  random.parts[0]->scales->tensor = "a_scale_inv";
  random.parts[0]->scales->center = 2;
  random.parts[0]->scales->spread = 1;
  random.parts[0]->tensor_columns = 130;
  const std::vector<float> made = make(), drawn = valuesOf("a", 0, 129 * 130);
  for (const auto &[row, column, block] : {std::tuple{0, 127, 0}, {0, 128, 1}, {128, 129, 3}}) {
    const auto at = static_cast<size_t>(row * 130 + column);
    const float scale = randomValue(randomKey("a_scale_inv", kSeed), block, {2, 1});
    const float value = floatOfFloat8(float8OfFloat(drawn[at])) * scale;
    EXPECT_EQ(made[at], floatOfBFloat16(bfloat16OfFloat(value)));
  }
}

TEST_F(RandomRunsTest, QuantizedValuesAreNumbers) {
  weight.shape = {64, 64};
  weight.dtype = plan::DType::F8E4M3;
  random.parts.push_back(partOf("a", 64, 64, plan::DType::F8E4M3));
  random.parts[0]->values->spread = 448;
  const std::vector<float> made = make();
  EXPECT_TRUE(std::all_of(made.begin(), made.end(), [](float x) { return std::isfinite(x); }));
  EXPECT_EQ(*std::max_element(made.begin(), made.end()), 448);
}

} // namespace
} // namespace epigraph
