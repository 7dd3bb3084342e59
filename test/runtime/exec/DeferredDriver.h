// A driver that stands in for a device: the host cannot use its addresses, nothing is done before
// it is waited for, and kernels read what a step is in a DeviceStep. Kernels are those of the test
// model, from a library for this machine's processors.
#ifndef EPIGRAPH_TEST_RUNTIME_EXEC_DEFERREDDRIVER_H
#define EPIGRAPH_TEST_RUNTIME_EXEC_DEFERREDDRIVER_H

#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device/Driver.h"
#include "runtime/device/MemoryPool.h"
#include "runtime/device/OpenDriver.h"

namespace epigraph {

/// What a DeferredDriver was asked to do, and how it should fail. Outlives it.
struct DeferredWork {
  uint64_t availableBytes = uint64_t{1} << 30;
  bool records = true;
  int replays = 0;  ///< of recorded work
  int launches = 0; ///< asked for, in recordings or not
  int recordings = 0;
  size_t copiedIn = 0;  ///< bytes of the last copy to the device
  size_t copiedOut = 0; ///< bytes of all copies from it
  absl::Status failure; ///< of the next synchronize()
};

class DeferredDriver : public Driver {
public:
  /// Both must outlive the driver.
  DeferredDriver(MemoryPool &pool, DeferredWork &asked) : pool(pool), asked(asked) {}

  std::string_view name() const override { return "deferred"; }
  bool hostAddressable() const override { return false; }
  absl::Status requireFeatures(absl::Span<const std::string>) const override {
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> availableBytes() const override { return asked.availableBytes; }
  absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes,
                                                         const std::string &purpose) override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>>
  allocateStaging(uint64_t bytes, const std::string &purpose) override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>> mapConstants(absl::Span<const uint8_t> bytes,
                                                             const std::string &purpose) override;
  absl::Status copyIn(uint8_t *result, absl::Span<const uint8_t> source) override;
  absl::Status copyOut(absl::Span<uint8_t> result, const uint8_t *source) override;
  absl::Status copy(uint8_t *result, const uint8_t *source, size_t bytes) override;
  absl::Status copyColumns(uint8_t *result, size_t resultStride, const uint8_t *source,
                           size_t sourceStride, size_t width, size_t rows) override;
  absl::Status clear(uint8_t *result, size_t bytes) override;
  absl::StatusOr<std::unique_ptr<KernelLibrary>>
  loadKernels(const std::string &path, absl::Span<const DeviceKernel> kernels) override;
  absl::StatusOr<std::unique_ptr<PreparedLaunch>> prepare(const KernelLibrary &library,
                                                          const LaunchBinding &binding) override;
  absl::Status launch(const PreparedLaunch &launch, int64_t rows,
                      const StepBounds &bounds) override;
  absl::StatusOr<bool> isIdle() override { return work.empty(); }
  absl::Status synchronize(std::chrono::milliseconds deadline) override;
  absl::StatusOr<std::unique_ptr<TimeMark>> createMark() override;
  absl::Status place(TimeMark &mark) override;
  absl::StatusOr<std::chrono::nanoseconds> between(const TimeMark &from,
                                                   const TimeMark &to) override;
  bool records() const override { return asked.records; }
  absl::Status beginRecording() override;
  absl::StatusOr<std::unique_ptr<RecordedWork>> endRecording() override;
  absl::Status replay(const RecordedWork &recorded) override;

private:
  using Work = std::function<absl::Status()>;

  absl::Status defer(Work piece);

  MemoryPool &pool;
  DeferredWork &asked;
  std::vector<Work> work;
  bool recording = false;
  std::vector<Work> recorded;
};

inline constexpr char kDeferredTarget[] = "deferred:test";

/// PlanExecutorOptions::openDriver for artifacts of kDeferredTarget. `asked` must outlive the
/// executor.
inline auto deferredDrivers(DeferredWork &asked) {
  return [&asked](std::string_view target, MemoryPool &pool, const DriverOptions &) {
    EXPECT_EQ(target, kDeferredTarget);
    return std::make_unique<DeferredDriver>(pool, asked);
  };
}

} // namespace epigraph

#endif // EPIGRAPH_TEST_RUNTIME_EXEC_DEFERREDDRIVER_H
