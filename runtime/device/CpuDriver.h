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
  absl::Status requireFeatures(absl::Span<const std::string> features) const override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(uint64_t bytes,
                                                         const std::string &purpose) override;
  absl::StatusOr<std::unique_ptr<DeviceMemory>> mapConstants(absl::Span<const uint8_t> bytes,
                                                             const std::string &purpose) override;
  absl::StatusOr<std::unique_ptr<KernelLibrary>>
  loadKernels(const std::string &path, absl::Span<const std::string> symbols) override;
  absl::Status launch(const KernelLibrary &library, size_t index, void *const *args,
                      const KernelStep &step, int64_t rows, int64_t tiles) override;

private:
  MemoryPool &memory;
  ThreadPool threads;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CPUDRIVER_H
