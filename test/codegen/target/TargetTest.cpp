// Targets that users describe.
#include "codegen/target/Target.h"

#include "runtime/device/CpuFeatures.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

Machine described(const char *base) {
  Machine machine;
  machine.name = "mine";
  machine.base = base;
  return machine;
}

Target make(const Machine &machine) {
  llvm::Expected<Target> target = makeTarget(machine);
  EXPECT_TRUE(static_cast<bool>(target)) << llvm::toString(target.takeError());
  return target ? *target : Target();
}

template <typename T> std::string refusal(llvm::Expected<T> target) {
  EXPECT_FALSE(static_cast<bool>(target));
  return target ? "" : llvm::toString(target.takeError());
}

TEST(TargetTest, NominalNumbersStandInForWhatIsLeftOut) {
  const Target v3 = make(described("x86-64-v3"));
  EXPECT_EQ(v3.cpu.name, "cpu:mine");
  EXPECT_EQ(v3.cpu.tuneCpu, "x86-64-v3");
  EXPECT_EQ(v3.machine.vectorBits, 256u);
  EXPECT_EQ(v3.machine.vectorRegisters, 16u);
  EXPECT_EQ(v3.cpu.l2Bytes, 256 * 1024);
  // 8 cores at 2 GHz, two units of 8 multiply-adds.
  EXPECT_EQ(v3.machine.f32Gflops, 8 * 2 * 2 * 8 * 2);
  EXPECT_EQ(v3.machine.memoryGbps, 80);
  const Target v4 = make(described("x86-64-v4"));
  EXPECT_EQ(v4.machine.vectorBits, 512u);
  EXPECT_EQ(v4.machine.vectorRegisters, 32u);
}

TEST(TargetTest, TheDescriptionDecides) {
  Machine machine = described("x86-64-v3");
  machine.features = {"avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512bf16"};
  machine.tune = "znver4";
  machine.l2Bytes = 3 << 20;
  machine.memoryGbps = 33;
  Target target = make(machine);
  EXPECT_EQ(target.cpu.vectorWidth, 16); // avx512bw implies avx512f
  EXPECT_TRUE(target.cpu.hasBf16Dot);
  EXPECT_EQ(target.cpu.tuneCpu, "znver4");
  EXPECT_EQ(target.cpu.l2Bytes, 3 << 20);
  EXPECT_EQ(target.machine.memoryGbps, 33);

  machine.vectorBits = 256; // AVX-512 is there, but not wanted
  target = make(machine);
  EXPECT_EQ(target.cpu.vectorWidth, 8);
  EXPECT_THAT(target.cpu.requiredFeatures, Not(Contains("avx512f")));
}

TEST(TargetTest, BuiltInTargetsAreDescriptionsToo) {
  llvm::Expected<Target> named = parseTarget("cpu:x86-64-v4");
  ASSERT_TRUE(static_cast<bool>(named)) << llvm::toString(named.takeError());
  Machine machine = described("x86-64-v4");
  machine.name = "x86-64-v4";
  EXPECT_EQ(named->machine, make(machine).machine);
  EXPECT_EQ(named->cpu.name, "cpu:x86-64-v4");
}

TEST(TargetTest, ReadsFiles) {
  TestFolder folder;
  std::string path = folder.write("server.json", printMachine(described("x86-64-v3"))).string();
  llvm::Expected<Target> target = parseTarget(path);
  ASSERT_TRUE(static_cast<bool>(target)) << llvm::toString(target.takeError());
  EXPECT_EQ(target->cpu.name, "cpu:mine");
  path = folder.write("broken.json", "{\"name\": 3}").string();
  EXPECT_THAT(refusal(parseTarget(path)), HasSubstr("broken.json.name: expected a string"));
  EXPECT_THAT(refusal(parseTarget((folder.path() / "absent.json").string())),
              HasSubstr("absent.json"));
  EXPECT_THAT(refusal(parseTarget("absent.json")), HasSubstr("absent.json"));
}

/// What `epigraph doctor` lists as features must be names that a description may hold.
TEST(TargetTest, KnowsTheFeaturesOfThisMachine) {
  Machine machine = described("x86-64");
  machine.features = cpuFeatures();
  llvm::Expected<Target> host = parseTarget("cpu");
  ASSERT_TRUE(static_cast<bool>(host)) << llvm::toString(host.takeError());
  EXPECT_EQ(make(machine).cpu.requiredFeatures, host->cpu.requiredFeatures);
}

TEST(TargetTest, RefusesWhatCannotBe) {
  EXPECT_THAT(refusal(makeTarget(described("z80"))),
              AllOf(HasSubstr("isa.base is 'z80'"), HasSubstr("x86-64-v3")));
  EXPECT_THAT(refusal(makeTarget(described("x86-64-v2"))), HasSubstr("lacks avx"));
  Machine machine = described("x86-64-v3");
  machine.tune = "z80";
  EXPECT_THAT(refusal(makeTarget(machine)), HasSubstr("isa.tune is 'z80'"));
  machine = described("x86-64-v3");
  machine.features = {"warp"};
  EXPECT_THAT(refusal(makeTarget(machine)), AllOf(HasSubstr("'warp'"), HasSubstr("avx512f")));
  machine = described("x86-64-v3");
  machine.vectorBits = 512;
  EXPECT_THAT(refusal(makeTarget(machine)), HasSubstr("512 with avx512f"));
}

} // namespace
} // namespace epigraph
