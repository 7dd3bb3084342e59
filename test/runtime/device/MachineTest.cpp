#include "runtime/device/Machine.h"

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using testing::HasSubstr;

constexpr char kWhole[] = R"({
  "name": "epyc-7003",
  "isa": {
    "base": "x86-64-v3",
    "features": [
      "vaes"
    ],
    "tune": "znver3",
    "vector_bits": 256,
    "vector_registers": 16
  },
  "cores": 64,
  "caches": {
    "l1_bytes": 32768,
    "l2_bytes": 524288,
    "l3_bytes": 268435456
  },
  "memory": {
    "bytes": 549755813888,
    "gbps": 180.5
  },
  "peak": {
    "f32_gflops": 5000.0,
    "bf16_gflops": 2500.0
  },
  "launch_ns": 3000,
  "links": {
    "gbps": 25.0,
    "latency_ns": 1500,
    "host_gbps": 55.0
  },
  "libraries": [
    "mpi"
  ]
}
)";

TEST(MachineTest, ReadsEveryKeyAndWritesItBack) {
  absl::StatusOr<Machine> machine = parseMachine(kWhole, "m.json");
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->name, "epyc-7003");
  EXPECT_EQ(machine->base, "x86-64-v3");
  EXPECT_EQ(machine->features, std::vector<std::string>{"vaes"});
  EXPECT_EQ(machine->tune, "znver3");
  EXPECT_EQ(machine->vectorBits, 256u);
  EXPECT_EQ(machine->vectorRegisters, 16u);
  EXPECT_EQ(machine->cores, 64u);
  EXPECT_EQ(machine->l3Bytes, uint64_t{256} << 20);
  EXPECT_EQ(machine->memoryBytes, uint64_t{512} << 30);
  EXPECT_EQ(machine->memoryGbps, 180.5);
  EXPECT_EQ(machine->f32Gflops, 5000);
  EXPECT_EQ(machine->launchNs, 3000u);
  EXPECT_EQ(machine->linkGbps, 25);
  EXPECT_EQ(machine->linkLatencyNs, 1500u);
  EXPECT_EQ(machine->hostGbps, 55);
  EXPECT_EQ(printMachine(*machine), kWhole);
}

TEST(MachineTest, NameAndBaseAreEnough) {
  absl::StatusOr<Machine> machine =
      parseMachine(R"({"name": "a", "isa": {"base": "x86-64-v4"}})", "m.json");
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->cores, 0u);
  EXPECT_EQ(machine->linkGbps, 0);
  EXPECT_EQ(parseMachine(printMachine(*machine), "again").value(), *machine);
}

/// A description that is right but for one member, which replaces that of the minimal one.
std::string with(const std::string &member) {
  return R"({"name": "a", "isa": {"base": "x86-64-v3"}, )" + member + "}";
}

TEST(MachineTest, RefusesWhatCannotBe) {
  const std::pair<std::string, const char *> kCases[] = {
      {"{", "m.json"},
      {"[]", "expected an object"},
      {R"({"isa": {"base": "x86-64-v3"}})", "name: missing"},
      {R"({"name": "a"})", "isa: missing"},
      {R"({"name": "a", "isa": {}})", "isa.base: missing"},
      {R"({"name": "../a", "isa": {"base": "x86-64-v3"}})", "letters, digits"},
      {R"({"name": "", "isa": {"base": "x86-64-v3"}})", "letters, digits"},
      {R"({"name": "a", "isa": {"base": "x86-64-v3", "features": ["+avx; rm"]}})", "names"},
      {R"({"name": "a", "isa": {"base": "x86-64-v3", "features": "avx"}})", "array of strings"},
      {R"({"name": "a", "isa": {"base": "x86-64-v3", "level": 3}})", "base, features, tune"},
      {with(R"("cores": 0)"), "expected 1 to 65536, found 0"},
      {with(R"("cores": 2.5)"), "expected an integer"},
      {with(R"("cores": -1)"), "a negative number"},
      {with(R"("core": 4)"), "core: unknown key; expected one of name, isa, cores, caches"},
      {with(R"("memory": {"gbps": 0})"), "memory.gbps: expected 1e-6 to 1e9"},
      {with(R"("memory": {"gbps": "20"})"), "expected a number, found a string"},
      {with(R"("memory": {"bytes": 1152921504606846976})"), "memory.bytes: expected"},
      {with(R"("caches": {"l2": 1})"), "l1_bytes, l2_bytes, l3_bytes"},
      {with(R"("launch_ns": 1, "launch_ns": 2)"), "duplicate key"},
  };
  for (const auto &[text, problem] : kCases)
    expectError(parseMachine(text, "m.json"), absl::StatusCode::kInvalidArgument, problem);
}

} // namespace
} // namespace epigraph
