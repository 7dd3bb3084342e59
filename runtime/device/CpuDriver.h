// The driver of this machine's processors: kernels are functions of a shared object, tiles go to a
// pool of threads, memory is mapped.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CPUDRIVER_H
#define EPIGRAPH_RUNTIME_DEVICE_CPUDRIVER_H

#include "runtime/device/Driver.h"
#include "runtime/device/MemoryPool.h"
#include "runtime/device/ThreadPool.h"

namespace epigraph {

/// Processors that this process may run on.
int availableProcessors();

class CpuDriver : public Driver {
public:
  /// `threads` run the tiles of a launch, the thread that calls `launch` among them. `spin`: see
  /// ThreadPool. The pool of memory must outlive the driver.
  CpuDriver(MemoryPool &memory, int threads, bool spin);

  std::string_view name() const override { return "cpu"; }
  bool hostAddressable() const override { return true; }
  absl::Status requireFeatures(absl::Span<const std::string> features) const override;
  absl::StatusOr<uint64_t> availableBytes() const override;

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
  /// Returns when the results are there.
  absl::Status launch(const PreparedLaunch &launch, int64_t rows,
                      const StepBounds &bounds) override;

  absl::StatusOr<bool> isIdle() override { return true; }
  absl::Status synchronize(std::chrono::milliseconds) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<TimeMark>> createMark() override;
  absl::Status place(TimeMark &mark) override;
  absl::StatusOr<std::chrono::nanoseconds> between(const TimeMark &from,
                                                   const TimeMark &to) override;

private:
  MemoryPool &memory;
  ThreadPool threads;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CPUDRIVER_H
