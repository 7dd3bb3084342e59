#include "compiler/bisect/Script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace epigraph::bisection {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr ScriptLimits kLimits = {100, 8, 4, 64};

TEST(ScriptTest, PrefillsInChunksAndDecodesTheLastTwo) {
  auto script = makeScript({{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, {20, 21}}, kLimits);
  ASSERT_TRUE(script.ok()) << script.status();
  ASSERT_EQ(script->size(), 3u);
  const StepBatch &first = (*script)[0].batch;
  EXPECT_THAT(first.ids, ElementsAre(10, 11, 12, 13, 14, 15, 16, 17));
  EXPECT_THAT(first.outputRows, ElementsAre(7));
  // The first batch had no room for the second sequence.
  const StepBatch &second = (*script)[1].batch;
  EXPECT_THAT(second.ids, ElementsAre(18, 20));
  EXPECT_THAT(second.positions, ElementsAre(8, 0));
  EXPECT_THAT(second.sequence, ElementsAre(0, 1));
  EXPECT_THAT(second.outputRows, ElementsAre(0, 1));
  EXPECT_THAT((*script)[1].nextIds, ElementsAre(19, 21));
  EXPECT_THAT((*script)[2].batch.ids, ElementsAre(19, 21));
  EXPECT_THAT((*script)[2].nextIds, ElementsAre(0, 0));
  EXPECT_FALSE((*script)[0].decodes);
  EXPECT_TRUE((*script)[1].decodes);
}

TEST(ScriptTest, DefaultsFitTheLimits) {
  for (const ScriptLimits &limits : {kLimits, ScriptLimits{5, 1, 1, 3}}) {
    auto sequences = defaultSequences(limits);
    EXPECT_THAT(sequences, testing::Not(IsEmpty()));
    auto script = makeScript(sequences, limits);
    ASSERT_TRUE(script.ok()) << script.status();
    for (const ScriptStep &step : *script)
      EXPECT_LE(step.batch.ids.size(), static_cast<size_t>(limits.batchTokens));
    EXPECT_EQ(defaultSequences(limits), sequences);
  }
}

} // namespace
} // namespace epigraph::bisection
