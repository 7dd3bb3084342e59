// Properties of placements for loads of all kinds: everything placed, replicas apart, ranks full,
// never worse than keeping experts in order.
#include <numeric>
#include <random>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "passes/partition/ExpertPlacement.h"

namespace epigraph {
namespace {

using llvm::ArrayRef;
using llvm::SmallVector;
using ::testing::ElementsAre;

/// Loads as routers give them: even, falling as a power, and with single hot experts.
SmallVector<double> randomLoad(int64_t experts, std::mt19937 &random) {
  SmallVector<double> load;
  int kind = static_cast<int>(random() % 3);
  for (int64_t e = 0; e < experts; ++e) {
    double even = static_cast<double>(random() % 1000);
    double rank = static_cast<double>(1 + random() % static_cast<uint64_t>(experts));
    load.push_back(kind == 0 ? even : kind == 1 ? 1e4 / rank : random() % 8 ? even : 50 * even);
  }
  return load;
}

SmallVector<int64_t> inOrder(int64_t experts) {
  SmallVector<int64_t> slots(experts);
  std::iota(slots.begin(), slots.end(), 0);
  return slots;
}

SmallVector<int64_t> replicasOf(ArrayRef<int64_t> slots, size_t experts) {
  SmallVector<int64_t> count(experts, 0);
  for (int64_t expert : slots)
    ++count[expert];
  return count;
}

struct Case {
  int64_t experts;
  PlacementShape shape;
};

class ExpertPlacement : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Shapes, ExpertPlacement,
                         testing::Values(Case{8, {1, 8}}, Case{8, {2, 4}}, Case{8, {2, 5}},
                                         Case{8, {4, 3}}, Case{32, {4, 8}}, Case{32, {4, 9}},
                                         Case{32, {8, 6}}, Case{7, {3, 3}}, Case{4, {4, 4}},
                                         Case{3, {2, 5}}, Case{64, {8, 9, 8, 4}},
                                         Case{64, {8, 8, 8, 2}}, Case{256, {16, 17, 8, 4}}));

TEST_P(ExpertPlacement, KeepsItsPromises) {
  const auto &[experts, shape] = GetParam();
  std::mt19937 random(7);
  for (int trial = 0; trial < 60; ++trial) {
    SmallVector<double> load = randomLoad(experts, random);
    SmallVector<int64_t> slots = planPlacement(load, shape);
    ASSERT_EQ(static_cast<int64_t>(slots.size()), shape.ranks * shape.slotsPerRank);
    SmallVector<int64_t> replicas = replicasOf(slots, load.size());
    for (int64_t e = 0; e < experts; ++e)
      EXPECT_GE(replicas[e], 1) << "expert " << e << " has no slot";
    for (int64_t rank = 0; rank < shape.ranks; ++rank) {
      ArrayRef<int64_t> mine = ArrayRef(slots).slice(rank * shape.slotsPerRank, shape.slotsPerRank);
      std::set<int64_t> different(mine.begin(), mine.end());
      // A rank with more slots than there are experts must hold some twice.
      int64_t avoidable = std::min(shape.slotsPerRank, experts);
      EXPECT_GE(static_cast<int64_t>(different.size()), avoidable) << "rank " << rank;
    }
    if (static_cast<int64_t>(slots.size()) == experts)
      EXPECT_LE(imbalanceOf(slots, load, shape.ranks),
                imbalanceOf(inOrder(experts), load, shape.ranks));
    EXPECT_EQ(planPlacement(load, shape), slots) << "another answer to the same question";
  }
}

/// With a slot left over on each rank, the busiest rank is no busier than without any.
TEST(ExpertPlacementWithReplicas, IsNotWorseThanInOrder) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 200; ++trial) {
    SmallVector<double> load = randomLoad(32, random);
    EXPECT_LE(imbalanceOf(planPlacement(load, {4, 9}), load, 4),
              imbalanceOf(inOrder(32), load, 4) + 1e-9);
  }
}

TEST(ExpertPlacementOnNodes, KeepsGroupsTogether) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 50; ++trial) {
    SmallVector<double> load = randomLoad(64, random);
    SmallVector<int64_t> slots = planPlacement(load, {8, 9, 8, 4}); // groups of 8 on 4 nodes
    std::vector<std::set<int64_t>> nodes(8);
    for (size_t slot = 0; slot < slots.size(); ++slot)
      nodes[static_cast<size_t>(slots[slot] / 8)].insert(static_cast<int64_t>(slot) / 18);
    for (const std::set<int64_t> &of : nodes)
      EXPECT_EQ(of.size(), 1u);
  }
}

TEST(ExpertPlacementBalance, FindsTheObvious) {
  // The two busy experts part.
  EXPECT_DOUBLE_EQ(imbalanceOf(planPlacement({10, 10, 1, 1}, {2, 2}), {10, 10, 1, 1}, 2), 1);
  // One expert with all the load, a slot to spare on each rank: half of it goes to either.
  SmallVector<double> hot = {100, 0, 0, 0};
  SmallVector<int64_t> slots = planPlacement(hot, {2, 3});
  EXPECT_THAT(loadOfRanks(slots, hot, 2), ElementsAre(50, 50));
}

TEST(ExpertPlacementBalance, WithoutLoadExpertsStayInOrder) {
  SmallVector<double> none(8, 0);
  EXPECT_EQ(planPlacement(none, {2, 4}), inOrder(8));
  EXPECT_EQ(imbalanceOf(inOrder(8), none, 2), 1);
}

} // namespace
} // namespace epigraph
