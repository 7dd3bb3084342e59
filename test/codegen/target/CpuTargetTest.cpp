#include "codegen/target/CpuTarget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/device/CpuFeatures.h"

namespace epigraph {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSubsetOf;
using ::testing::Not;

CpuTarget parse(llvm::StringRef text) {
  llvm::Expected<CpuTarget> target = parseCpuTarget(text);
  EXPECT_TRUE(static_cast<bool>(target)) << llvm::toString(target.takeError());
  return target ? *target : CpuTarget();
}

std::string refusal(llvm::StringRef text) {
  llvm::Expected<CpuTarget> target = parseCpuTarget(text);
  EXPECT_FALSE(static_cast<bool>(target)) << text.str();
  return target ? "" : llvm::toString(target.takeError());
}

TEST(CpuTargetTest, KnowsTheLevelsOfX86) {
  const CpuTarget v3 = parse("cpu:x86-64-v3");
  EXPECT_EQ(v3.name, "cpu:x86-64-v3");
  EXPECT_EQ(v3.vectorWidth, 8);
  EXPECT_FALSE(v3.hasBf16Dot);
  EXPECT_THAT(v3.requiredFeatures, Contains("avx2"));
  EXPECT_THAT(v3.requiredFeatures, Not(Contains("avx512f")));
  EXPECT_THAT(v3.featureString(), HasSubstr(",+fma,"));

  const CpuTarget v4 = parse("cpu:x86-64-v4");
  EXPECT_EQ(v4.vectorWidth, 16);
  EXPECT_FALSE(v4.hasBf16Dot);
  EXPECT_THAT(v3.requiredFeatures, IsSubsetOf(v4.requiredFeatures));
}

TEST(CpuTargetTest, KnowsTheBf16DotProduct) {
  for (const char *name : {"cpu:cooperlake", "cpu:sapphirerapids", "cpu:znver4", "cpu:znver5"}) {
    const CpuTarget target = parse(name);
    EXPECT_TRUE(target.hasBf16Dot) << name;
    EXPECT_EQ(target.vectorWidth, 16) << name;
    EXPECT_THAT(target.requiredFeatures, Contains("avx512bf16"));
  }
}

TEST(CpuTargetTest, ThisMachineHasWhatItRequires) {
  const absl::Status status = requireCpuFeatures(parse("cpu").requiredFeatures);
  EXPECT_TRUE(status.ok()) << status;
}

TEST(CpuTargetTest, RefusesWithWhatIsKnown) {
  EXPECT_THAT(refusal("cpu:z80"), HasSubstr("x86-64-v3"));
  EXPECT_THAT(refusal("cpu:z80"), Not(HasSubstr("pentium4"))); // known to LLVM, too old for kernels
  EXPECT_THAT(refusal("cpu:nehalem"), HasSubstr("lacks avx"));
  EXPECT_THAT(refusal("cpu:"), HasSubstr("cpu:NAME"));
  EXPECT_THAT(refusal("gpu"), HasSubstr("neither a CPU nor a GPU"));
  EXPECT_THAT(refusal(""), HasSubstr("neither a CPU nor a GPU"));
}

} // namespace
} // namespace epigraph
