#include "test/runtime/device/DriverConformance.h"

#include <cstdlib>
#include <numeric>

#include "runtime/device/OpenDriver.h"

namespace epigraph {

DeviceKernel simpleKernel(const std::string &symbol, uint32_t threads) {
  DeviceLaunch launch;
  launch.symbol = symbol;
  launch.threads = threads;
  launch.rowTile = 1;
  DeviceVariant variant;
  variant.launches.push_back(launch);
  return {symbol, {variant}};
}

std::vector<DeviceKernel> testKernels() {
  return {simpleKernel("test_add_rows"), simpleKernel("test_double")};
}

std::string testLibrary(std::string_view target) {
  // Tests that run elsewhere find the library beside them.
  if (target == "cuda")
    if (const char *given = std::getenv("EPIGRAPH_CONFORMANCE_CUBIN"))
      return given;
  return target == "cuda" ? EPIGRAPH_CONFORMANCE_CUBIN : EPIGRAPH_TEST_KERNELS;
}

std::vector<int64_t> numbers(size_t count, int64_t first) {
  std::vector<int64_t> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

void DriverConformance::SetUp() {
  absl::StatusOr<std::unique_ptr<Driver>> opened = openDriver(GetParam(), pool, {2, false});
  if (!opened.ok()) {
    ASSERT_EQ(opened.status().code(), absl::StatusCode::kUnimplemented) << opened.status();
    if (std::getenv("EPIGRAPH_REQUIRE_GPU"))
      FAIL() << opened.status();
    GTEST_SKIP() << opened.status().message();
  }
  if (testLibrary(GetParam()).empty())
    GTEST_SKIP() << "ptxas was not found when the tests were built";
  driver = *std::move(opened);
}

void DriverConformance::TearDown() {
  deviceStep.reset();
  library.reset();
}

std::unique_ptr<DeviceMemory> DriverConformance::allocate(uint64_t bytes) {
  absl::StatusOr<std::unique_ptr<DeviceMemory>> memory = driver->allocate(bytes, "a test");
  EXPECT_TRUE(memory.ok()) << memory.status();
  return *std::move(memory);
}

void DriverConformance::loadKernels() {
  absl::StatusOr<std::unique_ptr<KernelLibrary>> loaded =
      driver->loadKernels(testLibrary(GetParam()), testKernels());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  library = *std::move(loaded);
}

void DriverConformance::setStep(int32_t tokens, int32_t rows) {
  hostStep.tokens = tokens;
  if (driver->hostAddressable())
    return;
  if (!deviceStep)
    deviceStep = allocate(sizeof(DeviceStep));
  DeviceStep step{};
  step.tokens = tokens;
  step.counts[kCountTokens] = rows;
  write(*deviceStep, std::vector<DeviceStep>{step});
}

LaunchBinding DriverConformance::bindingOf(size_t kernel, absl::Span<void *const> arguments,
                                           int32_t capacity) const {
  LaunchBinding binding;
  binding.kernel = kernel;
  binding.arguments = arguments;
  binding.rowTile = 1;
  binding.step = &hostStep;
  binding.capacity = capacity;
  if (deviceStep) {
    const uint8_t *const step = deviceStep->address();
    binding.step = step;
    binding.count =
        reinterpret_cast<const int32_t *>(step + offsetof(DeviceStep, counts)) + kCountTokens;
  }
  return binding;
}

std::unique_ptr<PreparedLaunch>
DriverConformance::prepare(size_t kernel, absl::Span<void *const> arguments, int32_t capacity) {
  absl::StatusOr<std::unique_ptr<PreparedLaunch>> launch =
      driver->prepare(*library, bindingOf(kernel, arguments, capacity));
  EXPECT_TRUE(launch.ok()) << launch.status();
  return *std::move(launch);
}

} // namespace epigraph
