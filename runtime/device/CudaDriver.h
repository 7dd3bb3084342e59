// The driver of one NVIDIA GPU: all work of its rank goes into one stream.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDADRIVER_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDADRIVER_H

#include <memory>

#include "runtime/device/CudaContext.h"
#include "runtime/device/CudaUpload.h"
#include "runtime/device/Driver.h"
#include "runtime/device/MemoryPool.h"

namespace epigraph {

class CudaDriver : public Driver {
public:
  /// Opens the GPU of this rank (see gpuOfThisRank). `pool` caps the GPU's memory, and must outlive
  /// the driver. Errors: Unimplemented without a GPU for this rank, or with too old a driver.
  static absl::StatusOr<std::unique_ptr<CudaDriver>> open(MemoryPool &pool);
  ~CudaDriver() override;

  std::string_view name() const override { return "cuda"; }
  bool hostAddressable() const override { return false; }
  /// Features are architectures, by ptxas' names.
  absl::Status requireFeatures(absl::Span<const std::string> features) const override;
  absl::StatusOr<uint64_t> availableBytes() const override;

  absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes,
                                                         const std::string &purpose) override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>>
  allocateStaging(uint64_t bytes, const std::string &purpose) override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>> mapConstants(absl::Span<const uint8_t> bytes,
                                                             const std::string &purpose) override;

  absl::StatusOr<std::vector<uint8_t>> exportMemory(const DeviceMemory &memory) override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>>
  importMemory(absl::Span<const uint8_t> exported) override;
  absl::StatusOr<SharedMemory> allocateShared(uint64_t bytes, const std::string &purpose) override;

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

  absl::StatusOr<bool> isIdle() override;
  absl::Status synchronize(std::chrono::milliseconds deadline) override;
  int64_t clockTicks(std::chrono::milliseconds time) const override;
  absl::StatusOr<std::unique_ptr<TimeMark>> createMark() override;
  absl::Status place(TimeMark &mark) override;
  absl::StatusOr<std::chrono::nanoseconds> between(const TimeMark &from,
                                                   const TimeMark &to) override;

  bool records() const override { return true; }
  absl::Status beginRecording() override;
  absl::StatusOr<std::unique_ptr<RecordedWork>> endRecording() override;
  absl::Status replay(const RecordedWork &work) override;

  // For what works beside it on the same GPU: communicators.
  const std::shared_ptr<CudaContext> &sharedContext() const { return context; }
  CUstream nativeStream() const { return stream; }

private:
  CudaDriver(std::shared_ptr<CudaContext> context, MemoryPool &pool)
      : context(std::move(context)), pool(pool) {}

  std::shared_ptr<CudaContext> context;
  MemoryPool &pool;
  CUstream stream = nullptr;
  bool isRecording = false;
  std::unique_ptr<CudaUpload> upload; ///< once there are constants
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDADRIVER_H
