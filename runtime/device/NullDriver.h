// A driver without a device: addresses that nothing lies at, work that is checked, written down and
// not done. It shows what an executor asks for, and that it asks for nothing outside of its memory.
#ifndef EPIGRAPH_RUNTIME_DEVICE_NULLDRIVER_H
#define EPIGRAPH_RUNTIME_DEVICE_NULLDRIVER_H

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device/Driver.h"
#include "runtime/device/MemoryPool.h"

namespace epigraph {

class NullDriver : public Driver {
public:
  /// The pool must outlive the driver.
  explicit NullDriver(MemoryPool &pool);
  ~NullDriver() override;

  std::string_view name() const override { return "null"; }
  bool hostAddressable() const override { return false; }
  absl::Status requireFeatures(absl::Span<const std::string>) const override {
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> availableBytes() const override { return pool.cap() - pool.used(); }

  absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes,
                                                         const std::string &purpose) override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>>
  allocateStaging(uint64_t bytes, const std::string &purpose) override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>> mapConstants(absl::Span<const uint8_t> bytes,
                                                             const std::string &purpose) override;

  /// Shares within this process: what one driver exports, another imports at an address of its own.
  absl::StatusOr<std::vector<uint8_t>> exportMemory(const DeviceMemory &memory) override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>>
  importMemory(absl::Span<const uint8_t> exported) override;
  absl::StatusOr<SharedMemory> allocateShared(uint64_t bytes, const std::string &purpose) override;

  // Errors: InvalidArgument for an address that is not of this driver's memory.
  absl::Status copyIn(uint8_t *result, absl::Span<const uint8_t> source) override;
  /// Gives zeros.
  absl::Status copyOut(absl::Span<uint8_t> result, const uint8_t *source) override;
  absl::Status copy(uint8_t *result, const uint8_t *source, size_t bytes) override;
  absl::Status copyColumns(uint8_t *result, size_t resultStride, const uint8_t *source,
                           size_t sourceStride, size_t width, size_t rows) override;
  absl::Status clear(uint8_t *result, size_t bytes) override;

  /// Takes kernels of every name; only the file must exist.
  absl::StatusOr<std::unique_ptr<KernelLibrary>>
  loadKernels(const std::string &path, absl::Span<const DeviceKernel> kernels) override;
  absl::StatusOr<std::unique_ptr<PreparedLaunch>> prepare(const KernelLibrary &library,
                                                          const LaunchBinding &binding) override;
  absl::Status launch(const PreparedLaunch &launch, int64_t rows,
                      const StepBounds &bounds) override;

  absl::StatusOr<bool> isIdle() override { return true; }
  absl::Status synchronize(std::chrono::milliseconds deadline) override;
  absl::StatusOr<std::unique_ptr<TimeMark>> createMark() override;
  absl::Status place(TimeMark &mark) override;
  absl::StatusOr<std::chrono::nanoseconds> between(const TimeMark &from,
                                                   const TimeMark &to) override;

  bool records() const override { return true; }
  absl::Status beginRecording() override;
  absl::StatusOr<std::unique_ptr<RecordedWork>> endRecording() override;
  absl::Status replay(const RecordedWork &work) override;

  /// What it was asked to do, in order, a line each: "copyIn 128", "launch gate 5 rows", "clear
  /// 64", "synchronize". Recorded work stands where it was replayed.
  const std::vector<std::string> &work() const { return log; }
  void forgetWork() { log.clear(); }

private:
  class Memory;
  struct Ranges;

  absl::StatusOr<std::unique_ptr<DeviceMemory>> reserveRange(uint64_t bytes,
                                                             const std::string &purpose);
  absl::Status require(const void *address, size_t bytes, std::string_view what) const;
  absl::Status write(std::string line);

  MemoryPool &pool;
  /// Shared with the memory that was handed out, which may outlive the driver.
  std::shared_ptr<Ranges> ranges;
  std::vector<std::string> log;
  bool recording = false;
  std::vector<std::string> recorded;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_NULLDRIVER_H
