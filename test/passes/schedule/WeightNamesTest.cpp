// Joined names keep at least one component of every name, whatever they share.
#include "passes/schedule/WeightNames.h"

#include <gtest/gtest.h>

namespace epigraph {
namespace {

TEST(JoinWeightNames, KeepsASingleName) {
  EXPECT_EQ(joinWeightNames({"a.b.weight"}), "a.b.weight");
}

TEST(JoinWeightNames, SharesFirstAndLastComponents) {
  EXPECT_EQ(joinWeightNames({"l.0.attn.q.weight", "l.0.attn.kv.weight"}), "l.0.attn.q+kv.weight");
}

TEST(JoinWeightNames, KeepsTheOrder) {
  EXPECT_EQ(joinWeightNames({"q.weight", "k.weight", "v.weight"}), "q+k+v.weight");
}

TEST(JoinWeightNames, JoinsNamesWithNothingInCommon) {
  EXPECT_EQ(joinWeightNames({"a.b", "c"}), "a.b+c");
}

TEST(JoinWeightNames, SharesWholeComponentsOnly) {
  EXPECT_EQ(joinWeightNames({"up_proj.weight", "up_gate.weight"}), "up_proj+up_gate.weight");
}

TEST(JoinWeightNames, LeavesEachNameAComponent) {
  EXPECT_EQ(joinWeightNames({"a.weight", "a.b.weight"}), "a.weight+b.weight");
  EXPECT_EQ(joinWeightNames({"a", "a.a"}), "a+a.a");
}

} // namespace
} // namespace epigraph
