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
    const DeviceKernel kernel{"test_add_rows", {}};
    absl::StatusOr<std::unique_ptr<KernelLibrary>> library =
        driver.loadKernels(EPIGRAPH_TEST_KERNELS, {&kernel, 1});
    ASSERT_TRUE(library.ok()) << library.status();
    KernelStep step{};
    step.tokens = 100;
    // Rows fill two tiles of three, or do not; each tile is cut into columns.
    for (const auto &[rows, columns, tiles] :
         {std::tuple(0, 1, 0), {1, 1, 1}, {6, 1, 2}, {7, 1, 3}, {5, 3, 6}, {1000, 3, 1002}}) {
      std::vector<int64_t> source(tiles), result(tiles + 1, -1), expected;
      std::iota(source.begin(), source.end(), 0);
      for (const int64_t value : source)
        expected.push_back(value + rows + 100);
      expected.push_back(-1);
      void *args[] = {source.data(), result.data()};
      LaunchBinding binding;
      binding.arguments = args;
      binding.rowTile = 3;
      binding.columnTiles = static_cast<uint32_t>(columns);
      binding.step = &step;
      absl::StatusOr<std::unique_ptr<PreparedLaunch>> launch = driver.prepare(**library, binding);
      ASSERT_TRUE(launch.ok()) << launch.status();
      ASSERT_TRUE(driver.launch(**launch, rows, {}).ok());
      EXPECT_EQ(result, expected) << threads << " threads, " << tiles << " tiles";
    }
    LaunchBinding missing;
    missing.kernel = 1;
    EXPECT_FALSE(driver.prepare(**library, missing).ok());
  }
}

TEST(CpuDriver, RefusesMoreTilesThanCanBeCounted) {
  MemoryPool pool(kMiB);
  CpuDriver driver(pool, 1, false);
  const DeviceKernel kernel{"test_add_rows", {}};
  absl::StatusOr<std::unique_ptr<KernelLibrary>> library =
      driver.loadKernels(EPIGRAPH_TEST_KERNELS, {&kernel, 1});
  ASSERT_TRUE(library.ok()) << library.status();
  LaunchBinding binding;
  binding.rowTile = 1;
  binding.columnTiles = 3;
  absl::StatusOr<std::unique_ptr<PreparedLaunch>> launch = driver.prepare(**library, binding);
  ASSERT_TRUE(launch.ok()) << launch.status();
  expectError(driver.launch(**launch, INT64_MAX / 2, {}), absl::StatusCode::kInternal,
              "too many tiles");
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
  const DeviceKernel kernels[] = {{"test_add_rows", {}}, {"no_such_kernel", {}}};
  expectError(driver.loadKernels(EPIGRAPH_TEST_KERNELS, kernels),
              absl::StatusCode::kFailedPrecondition, "has no kernel 'no_such_kernel'");
  // dlopen would look for this in the system's folders, and find it.
  expectError(driver.loadKernels("libm.so.6", {}), absl::StatusCode::kInvalidArgument,
              "expected a path");
}

} // namespace
} // namespace epigraph
