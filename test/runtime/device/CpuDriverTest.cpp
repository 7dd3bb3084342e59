#include "runtime/device/CpuDriver.h"

#include <sys/mman.h>

#include <numeric>

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(CpuDriver, AllocatesZeroedMemoryAndCountsIt) {
  MemoryPool pool(16 * kMiB);
  CpuDriver driver(pool, 1, false);
  // Less than a huge page, one exactly, more than one.
  for (const uint64_t bytes : {uint64_t{100}, 2 * kMiB, 3 * kMiB + 5}) {
    absl::StatusOr<std::unique_ptr<DeviceMemory>> memory = driver.allocate(bytes, "a test");
    ASSERT_TRUE(memory.ok()) << memory.status();
    EXPECT_EQ((*memory)->bytes(), bytes);
    EXPECT_EQ(pool.used(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>((*memory)->address()) % 4096, 0u);
    uint8_t *bytesOf = (*memory)->address();
    EXPECT_EQ(std::accumulate(bytesOf, bytesOf + bytes, uint64_t{0}), 0u);
    bytesOf[bytes - 1] = 1;
  }
  EXPECT_EQ(pool.used(), 0u);
}

TEST(CpuDriver, AllocatesNothing) {
  MemoryPool pool(0);
  CpuDriver driver(pool, 1, false);
  absl::StatusOr<std::unique_ptr<DeviceMemory>> memory = driver.allocate(0, "nothing");
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ((*memory)->address(), nullptr);
}

TEST(CpuDriver, RefusesWhatIsOverTheCap) {
  MemoryPool pool(kMiB);
  CpuDriver driver(pool, 1, false);
  const absl::StatusOr<std::unique_ptr<DeviceMemory>> held = driver.allocate(kMiB / 2, "half");
  ASSERT_TRUE(held.ok());
  expectError(
      driver.allocate(kMiB, "caches"), absl::StatusCode::kResourceExhausted,
      "no memory for caches: needs 1.00 MiB, and 512.00 KiB of the pool of 1.00 MiB are in use");
}

TEST(CpuDriver, RefusesWhatTheMachineCannotMap) {
  MemoryPool pool(UINT64_MAX);
  CpuDriver driver(pool, 1, false);
  expectError(driver.allocate(uint64_t{1} << 60, "caches"), absl::StatusCode::kResourceExhausted,
              "cannot map");
  expectError(driver.allocate(UINT64_MAX - 5, "caches"), absl::StatusCode::kResourceExhausted,
              "cannot map");
  EXPECT_EQ(pool.used(), 0u);
}

TEST(CpuDriver, ConstantsAreTheBytesThemselves) {
  MemoryPool pool(100);
  CpuDriver driver(pool, 1, false);
  const std::vector<uint8_t> bytes(60);
  absl::StatusOr<std::unique_ptr<DeviceMemory>> constants = driver.mapConstants(bytes, "weights");
  ASSERT_TRUE(constants.ok());
  EXPECT_EQ((*constants)->address(), bytes.data());
  EXPECT_EQ(pool.used(), 60u);
  expectError(driver.mapConstants(bytes, "weights"), absl::StatusCode::kResourceExhausted,
              "no memory for weights");
}

TEST(CpuDriver, RunsKernelsOverAllTiles) {
  MemoryPool pool(kMiB);
  for (const int threads : {1, 2, 3}) {
    CpuDriver driver(pool, threads, false);
    absl::StatusOr<std::unique_ptr<KernelLibrary>> library =
        driver.loadKernels(EPIGRAPH_TEST_KERNELS, {"test_add_rows"});
    ASSERT_TRUE(library.ok()) << library.status();
    KernelStep step{};
    step.tokens = 100;
    for (const int64_t tiles : {0, 1, 2, 7, 1000}) {
      std::vector<int64_t> source(tiles), result(tiles + 1, -1), expected;
      std::iota(source.begin(), source.end(), 0);
      for (const int64_t value : source)
        expected.push_back(value + 5 + 100);
      expected.push_back(-1);
      void *args[] = {source.data(), result.data()};
      ASSERT_TRUE(driver.launch(**library, 0, args, step, 5, tiles).ok());
      EXPECT_EQ(result, expected) << threads << " threads, " << tiles << " tiles";
    }
    EXPECT_FALSE(driver.launch(**library, 1, nullptr, step, 0, 1).ok());
  }
}

TEST(CpuDriver, RefusesLibrariesThatCannotBeLoaded) {
  MemoryPool pool(kMiB);
  CpuDriver driver(pool, 1, false);
  const TestFolder folder;
  expectError(driver.loadKernels((folder.path() / "none.so").string(), {}),
              absl::StatusCode::kNotFound, "none.so");
  const std::string text = folder.write("text.so", "no library");
  expectError(driver.loadKernels(text, {}), absl::StatusCode::kFailedPrecondition,
              "cannot be loaded");
  expectError(driver.loadKernels(EPIGRAPH_TEST_KERNELS, {"test_add_rows", "no_such_kernel"}),
              absl::StatusCode::kFailedPrecondition, "has no kernel 'no_such_kernel'");
  // dlopen would look for this in the system's folders, and find it.
  expectError(driver.loadKernels("libm.so.6", {}), absl::StatusCode::kInvalidArgument,
              "expected a path");
}

} // namespace
} // namespace epigraph
