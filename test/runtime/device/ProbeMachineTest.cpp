#include "runtime/device/ProbeMachine.h"

#include <chrono>

#include "runtime/device/CpuFeatures.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

TEST(ProbeMachineTest, FindsThisMachine) {
  const Machine machine = probeMachine();
  EXPECT_GE(machine.cores, 1u);
  EXPECT_GT(machine.memoryBytes, uint64_t{64} << 20);
  EXPECT_EQ(machine.features, cpuFeatures());
#if defined(__x86_64__)
  EXPECT_THAT(machine.base, testing::StartsWith("x86-64"));
#endif
}

TEST(ProbeMachineTest, MeasuresInAboutASecond) {
  Machine machine = probeMachine();
  const auto start = std::chrono::steady_clock::now();
  measureMachine(machine);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), 20) << "about one on an idle machine";
  EXPECT_GT(machine.memoryGbps, 0);
  EXPECT_GE(machine.launchNs, 1u);
  EXPECT_GT(machine.linkGbps, 0);
  EXPECT_GE(machine.linkLatencyNs, 1u);
  if (requireCpuFeatures(std::vector<std::string>{"avx2", "fma"}).ok()) {
    EXPECT_GT(machine.f32Gflops, 0.1);
    EXPECT_GT(machine.bf16Gflops, 0.1);
  }
  // What is printed is what --target reads.
  absl::StatusOr<Machine> again = parseMachine(printMachine(machine), "this machine");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, machine);
}

} // namespace
} // namespace epigraph
