// What the driver of NVIDIA's GPUs does beyond what all drivers do. Skipped without a GPU.
#include "runtime/device/CudaDriver.h"

#include <cstdlib>
#include <thread>

#include "absl/strings/escaping.h"
#include "runtime/base/ErrorCode.h"
#include "runtime/device/CudaLaunch.h"
#include "test/runtime/base/TestFiles.h"
#include "test/runtime/device/DriverConformance.h"

namespace epigraph {
namespace {

using std::chrono::milliseconds;

class CudaDriverTest : public DriverConformance {
protected:
  /// Loads one kernel.
  void load(const DeviceKernel &kernel) {
    absl::StatusOr<std::unique_ptr<KernelLibrary>> loaded =
        driver->loadKernels(testLibrary("cuda"), {&kernel, 1});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    library = *std::move(loaded);
  }
};

INSTANTIATE_TEST_SUITE_P(Gpu, CudaDriverTest, testing::Values("cuda"));

TEST_P(CudaDriverTest, KernelsReadTheirRows) {
  loadKernels();
  setStep(1, 5);
  const std::unique_ptr<DeviceMemory> a = upload(std::vector<int64_t>(32, 1));
  const std::unique_ptr<DeviceMemory> b = upload(std::vector<int64_t>(32, -1));
  void *const arguments[] = {a->address(), b->address()};
  LaunchBinding binding = bindingOf(kAddRows, arguments, 32);
  binding.factor = 2;
  absl::StatusOr<std::unique_ptr<PreparedLaunch>> launch = driver->prepare(*library, binding);
  ASSERT_TRUE(launch.ok()) << launch.status();
  // The host knows a bound; the step has 5 * 2 rows.
  ASSERT_TRUE(driver->launch(**launch, 32, {}).ok());
  std::vector<int64_t> expected(32, -1);
  std::fill_n(expected.begin(), 10, 1 + 10 + 1);
  EXPECT_EQ(download<int64_t>(*b, 32), expected);
}

TEST_P(CudaDriverTest, LaunchesTheVariantThatFits) {
  // For up to 4 rows, and for steps of one token each, what adds; else what fails.
  DeviceKernel kernel = simpleKernel("test_add_rows");
  kernel.variants[0].mostRows = 4;
  kernel.variants.push_back(simpleKernel("test_add_rows").variants[0]);
  kernel.variants[1].oneTokenEach = true;
  kernel.variants.push_back(simpleKernel("test_fail").variants[0]);
  load(kernel);
  setStep(0, 8);
  const std::unique_ptr<DeviceMemory> a = upload(std::vector<int64_t>(8, 1)), b = allocate(64);
  void *const arguments[] = {a->address(), b->address()};
  const std::unique_ptr<PreparedLaunch> launch = prepare(0, arguments, 8);
  ASSERT_TRUE(driver->launch(*launch, 4, {}).ok());
  EXPECT_EQ(download<int64_t>(*b, 8), (std::vector<int64_t>{9, 9, 9, 9, 0, 0, 0, 0}));
  StepBounds bounds;
  bounds.oneTokenEach = true;
  ASSERT_TRUE(driver->launch(*launch, 8, bounds).ok());
  EXPECT_EQ(download<int64_t>(*b, 8), std::vector<int64_t>(8, 9));
}

TEST_P(CudaDriverTest, RefusesRowsWithoutAVariant) {
  DeviceKernel kernel = simpleKernel("test_add_rows");
  kernel.variants[0].mostRows = 4;
  load(kernel);
  setStep(0, 8);
  const std::unique_ptr<DeviceMemory> a = allocate(64);
  void *const arguments[] = {a->address(), a->address()};
  expectError(driver->launch(*prepare(0, arguments, 8), 5, {}), absl::StatusCode::kInternal,
              "has no variant for 5 rows");
}

/// test_copy_tile over a matrix with rows of 8 numbers, by boxes of 4 rows.
DeviceKernel tileKernel(uint32_t sharedBytes) {
  DeviceKernel kernel = simpleKernel("test_copy_tile", 32);
  DeviceLaunch &launch = kernel.variants[0].launches[0];
  launch.sharedBytes = sharedBytes;
  launch.rowTile = 4;
  TensorMapSpec map;
  map.operand = 0;
  map.element = DType::I32;
  map.sizes = {8, 0};
  map.strides = {32};
  map.box = {8, 4};
  launch.maps.push_back(map);
  return kernel;
}

TEST_P(CudaDriverTest, TensorMapsEndWithTheRows) {
  // The least shared memory, and more than a kernel gets unasked.
  for (const uint32_t sharedBytes : {128u, 200u << 10}) {
    load(tileKernel(sharedBytes));
    setStep(1, 10);
    std::vector<int32_t> source(16 * 8);
    for (size_t i = 0; i < source.size(); ++i)
      source[i] = static_cast<int32_t>(i + 1);
    const std::unique_ptr<DeviceMemory> from = upload(source);
    const std::unique_ptr<DeviceMemory> to = upload(std::vector<int32_t>(16 * 8, -1));
    void *const arguments[] = {from->address(), to->address()};
    const uint32_t rows[] = {10, 16};
    LaunchBinding binding = bindingOf(0, arguments, 10);
    binding.argumentRows = rows;
    absl::StatusOr<std::unique_ptr<PreparedLaunch>> launch = driver->prepare(*library, binding);
    ASSERT_TRUE(launch.ok()) << launch.status();
    ASSERT_TRUE(driver->launch(**launch, 10, {}).ok());
    std::vector<int32_t> expected = source;
    std::fill(expected.begin() + 10 * 8, expected.begin() + 12 * 8, 0); // beyond the map
    std::fill(expected.begin() + 12 * 8, expected.end(), -1);           // beyond the last block
    EXPECT_EQ(download<int32_t>(*to, 16 * 8), expected);

    binding.argumentRows = {};
    expectError(driver->prepare(*library, binding), absl::StatusCode::kInternal, "has no rows");
  }
}

TEST_P(CudaDriverTest, RefusesTensorMapsThatCannotBe) {
  DeviceKernel kernel = tileKernel(128);
  TensorMapSpec &map = kernel.variants[0].launches[0].maps[0];
  const std::unique_ptr<DeviceMemory> memory = allocate(1024);
  void *const arguments[] = {memory->address(), memory->address()};
  const auto prepared = [&] {
    load(kernel);
    return driver->prepare(*library, bindingOf(0, arguments, 10));
  };
  map.sizes = {8, 16};
  EXPECT_TRUE(prepared().ok());
  map.strides = {33}; // no multiple of 16 bytes
  expectError(prepared(), absl::StatusCode::kInternal, "CUDA_ERROR_INVALID_VALUE");
  map.strides = {};
  expectError(prepared(), absl::StatusCode::kInternal, "one stride less");
  map.operand = 2;
  expectError(prepared(), absl::StatusCode::kInternal, "operand 2 of 2");
}

TEST_P(CudaDriverTest, RefusesKernelsThatDoNotFitTheGpu) {
  DeviceKernel kernel = simpleKernel("test_add_rows", 2000);
  expectError(driver->loadKernels(testLibrary("cuda"), {&kernel, 1}),
              absl::StatusCode::kFailedPrecondition, "launches it with 2000");
  kernel = simpleKernel("test_add_rows");
  kernel.variants[0].launches[0].sharedBytes = 1 << 20;
  expectError(driver->loadKernels(testLibrary("cuda"), {&kernel, 1}),
              absl::StatusCode::kFailedPrecondition, "of shared memory");
}

TEST_P(CudaDriverTest, RefusesOtherArchitectures) {
  const std::string own = "sm_90a", other = "sm_80", later = "sm_91", wrong = "avx2";
  EXPECT_TRUE(driver->requireFeatures({&own, 1}).ok());
  for (const std::string *name : {&other, &later, &wrong})
    expectError(driver->requireFeatures({name, 1}), absl::StatusCode::kUnimplemented,
                "has compute capability");
}

TEST_P(CudaDriverTest, GivesUpAtTheDeadline) {
  load(simpleKernel("test_wait"));
  // The kernel reads the host's memory, which pinned memory allows.
  absl::StatusOr<std::unique_ptr<DeviceMemory>> flag = driver->allocateStaging(8, "a test");
  ASSERT_TRUE(flag.ok());
  void *const arguments[] = {(*flag)->address()};
  const std::unique_ptr<PreparedLaunch> launch = prepare(0, arguments, 1);
  ASSERT_TRUE(driver->launch(*launch, 1, {}).ok());
  const absl::StatusOr<bool> idle = driver->isIdle();
  ASSERT_TRUE(idle.ok()) << idle.status();
  EXPECT_FALSE(*idle);
  expectError(driver->synchronize(milliseconds(120)), absl::StatusCode::kDeadlineExceeded,
              "no progress for 0.12 s");
  *reinterpret_cast<volatile uint64_t *>((*flag)->address()) = 1;
  EXPECT_TRUE(driver->synchronize(milliseconds(5000)).ok());
}

TEST_P(CudaDriverTest, RefusesWhatTheGpuDoesNotHave) {
  MemoryPool boundless(UINT64_MAX);
  absl::StatusOr<std::unique_ptr<CudaDriver>> other = CudaDriver::open(boundless);
  ASSERT_TRUE(other.ok()) << other.status();
  expectError((*other)->allocate(uint64_t{1} << 45, "caches"), absl::StatusCode::kResourceExhausted,
              "no memory for caches: needs 32.00 TiB, and GPU 0 has");
  EXPECT_EQ(boundless.used(), 0u);
}

TEST_P(CudaDriverTest, RefusesMoreRanksThanGpus) {
  setenv("LOCAL_RANK", "100", 1);
  expectError(CudaDriver::open(pool), absl::StatusCode::kUnimplemented,
              "local rank 100 needs a GPU of its own, and this process sees");
  setenv("LOCAL_RANK", "first", 1);
  expectError(CudaDriver::open(pool), absl::StatusCode::kInvalidArgument, "LOCAL_RANK is 'first'");
  unsetenv("LOCAL_RANK");
}

TEST_P(CudaDriverTest, SharesMemoryWithOtherProcesses) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  loadKernels();
  setStep(0, 16);
  const std::unique_ptr<DeviceMemory> memory = upload(numbers(16));
  // The other process starts this test, too, and comes as far as here.
  absl::StatusOr<std::vector<uint8_t>> exported = driver->exportMemory(*memory);
  ASSERT_TRUE(exported.ok()) << exported.status();
  const std::string text(exported->begin(), exported->end());
  setenv("EPIGRAPH_TEST_MEMORY", absl::BytesToHexString(text).c_str(), /*overwrite=*/0);
  EXPECT_EXIT(
      {
        const std::string name = absl::HexStringToBytes(std::getenv("EPIGRAPH_TEST_MEMORY"));
        absl::StatusOr<std::unique_ptr<DeviceMemory>> imported =
            driver->importMemory({reinterpret_cast<const uint8_t *>(name.data()), name.size()});
        absl::Status status = imported.status();
        if (status.ok()) {
          void *const arguments[] = {(*imported)->address()};
          status = driver->launch(*prepare(kDouble, arguments, 16), 16, {});
          status.Update(driver->synchronize());
        }
        std::fprintf(stderr, "%s", errorText(status).c_str());
        std::_Exit(status.ok() ? 3 : 4);
      },
      testing::ExitedWithCode(3), "");
  unsetenv("EPIGRAPH_TEST_MEMORY");
  std::vector<int64_t> expected = numbers(16);
  for (int64_t &value : expected)
    value *= 2;
  EXPECT_EQ(download<int64_t>(*memory, 16), expected);
  expectError(driver->importMemory({}), absl::StatusCode::kInternal, "do not name");
}

TEST_P(CudaDriverTest, SharesMemoryOfTheHost) {
  loadKernels();
  setStep(0, 16);
  absl::StatusOr<SharedMemory> shared = driver->allocateShared(16 * sizeof(int64_t), "a test");
  ASSERT_TRUE(shared.ok()) << shared.status();
  const std::vector<int64_t> given = numbers(16);
  ASSERT_TRUE(driver
                  ->copyIn(shared->memory->address(),
                           {reinterpret_cast<const uint8_t *>(given.data()), 16 * sizeof(int64_t)})
                  .ok());
  // Reached at another address, as from another process.
  absl::StatusOr<std::unique_ptr<DeviceMemory>> imported = driver->importMemory(shared->exported);
  ASSERT_TRUE(imported.ok()) << imported.status();
  void *const arguments[] = {(*imported)->address()};
  ASSERT_TRUE(driver->launch(*prepare(kDouble, arguments, 16), 16, {}).ok());
  std::vector<int64_t> expected = given;
  for (int64_t &value : expected)
    value *= 2;
  EXPECT_EQ(download<int64_t>(*shared->memory, 16), expected);
}

TEST_P(CudaDriverTest, KnowsTheClockOfKernels) {
  // Between 0.1 and 10 GHz.
  EXPECT_GT(driver->clockTicks(milliseconds(1000)), 100'000'000);
  EXPECT_LT(driver->clockTicks(milliseconds(1000)), 10'000'000'000);
}

TEST_P(CudaDriverTest, ReportsKernelsThatFail) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  load(simpleKernel("test_fail"));
  const std::unique_ptr<PreparedLaunch> launch = prepare(0, {}, 1);
  // A failure costs the process its context: it must be another process'.
  EXPECT_EXIT(
      {
        absl::Status status = driver->launch(*launch, 1, {});
        status.Update(driver->synchronize());
        const absl::Status later = driver->clear(nullptr, 1);
        std::fprintf(stderr, "%s | %s", errorText(status).c_str(), errorText(later).c_str());
        std::_Exit(absl::IsInternal(status) && absl::IsInternal(later) ? 3 : 4);
      },
      testing::ExitedWithCode(3), "\\[E0611\\] kernels on GPU 0 failed: CUDA_ERROR");
}

} // namespace
} // namespace epigraph
