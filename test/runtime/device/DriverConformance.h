// What the tests of all drivers share: a driver, memory with known contents, and kernels that are
// the same on the CPU (TestKernels.cpp) and on a GPU (conformance.ptx).
#ifndef EPIGRAPH_TEST_RUNTIME_DEVICE_DRIVERCONFORMANCE_H
#define EPIGRAPH_TEST_RUNTIME_DEVICE_DRIVERCONFORMANCE_H

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "runtime/device/Driver.h"
#include "runtime/device/MemoryPool.h"

namespace epigraph {

/// Kernels of both libraries, as numbered by testKernels.
enum TestKernel : size_t { kAddRows, kDouble };

/// How they are launched: one block, or tile, a row.
std::vector<DeviceKernel> testKernels();

/// A device kernel of one launch, one block a row.
DeviceKernel simpleKernel(const std::string &symbol, uint32_t threads = 1);

/// The library that the driver for `target` takes; empty when it was not built.
std::string testLibrary(std::string_view target);

/// `count` consecutive numbers.
std::vector<int64_t> numbers(size_t count, int64_t first = 0);

/// A driver for the target that the parameter names, and the tools to see what it does. Skips where
/// the machine lacks the device; fails there instead if EPIGRAPH_REQUIRE_GPU is set.
class DriverConformance : public testing::TestWithParam<const char *> {
protected:
  static constexpr uint64_t kPoolBytes = uint64_t{256} << 20;

  void SetUp() override;
  /// Frees memory while its driver is there.
  void TearDown() override;

  /// Whether work is done, not only taken.
  bool computes() const { return driver->name() != "null"; }

  std::unique_ptr<DeviceMemory> allocate(uint64_t bytes);
  /// Memory of the driver that holds `values`.
  template <typename T> std::unique_ptr<DeviceMemory> upload(const std::vector<T> &values) {
    std::unique_ptr<DeviceMemory> memory = allocate(values.size() * sizeof(T));
    write(*memory, values);
    return memory;
  }
  template <typename T> void write(DeviceMemory &memory, const std::vector<T> &values) {
    const auto *bytes = reinterpret_cast<const uint8_t *>(values.data());
    const absl::Status copied =
        driver->copyIn(memory.address(), {bytes, values.size() * sizeof(T)});
    ASSERT_TRUE(copied.ok()) << copied;
    const absl::Status done = driver->synchronize();
    ASSERT_TRUE(done.ok()) << done;
  }
  /// Its first `count` values.
  template <typename T = uint8_t>
  std::vector<T> download(const DeviceMemory &memory, size_t count) {
    std::vector<T> values(count, T(-7));
    auto *bytes = reinterpret_cast<uint8_t *>(values.data());
    EXPECT_TRUE(driver->copyOut({bytes, count * sizeof(T)}, memory.address()).ok());
    EXPECT_TRUE(driver->synchronize().ok());
    return values;
  }

  /// Loads testKernels.
  void loadKernels();
  /// Tells kernels that the step has so many tokens, and the launch so many rows.
  void setStep(int32_t tokens, int32_t rows);
  /// A binding of a kernel of the step; `arguments` must outlive the launch.
  LaunchBinding bindingOf(size_t kernel, absl::Span<void *const> arguments, int32_t capacity) const;
  std::unique_ptr<PreparedLaunch> prepare(size_t kernel, absl::Span<void *const> arguments,
                                          int32_t capacity);

  MemoryPool pool{kPoolBytes};
  std::unique_ptr<Driver> driver;
  std::unique_ptr<KernelLibrary> library;

private:
  KernelStep hostStep{};
  std::unique_ptr<DeviceMemory> deviceStep; ///< where the host cannot write a KernelStep
};

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_DEVICE_DRIVERCONFORMANCE_H
