// The kernel library of an artifact on a GPU: a cubin, its functions found and set up.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDAKERNELS_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDAKERNELS_H

#include <memory>
#include <string>
#include <vector>

#include "runtime/device/CudaContext.h"
#include "runtime/device/Driver.h"

namespace epigraph {

class CudaKernels : public KernelLibrary {
public:
  /// A kernel with the function of each launch: functions[variant][launch].
  struct Entry {
    DeviceKernel kernel;
    std::vector<std::vector<CUfunction>> functions;
  };

  /// Errors: as Driver::loadKernels.
  static absl::StatusOr<std::unique_ptr<CudaKernels>> load(std::shared_ptr<CudaContext> context,
                                                           const std::string &path,
                                                           absl::Span<const DeviceKernel> kernels);
  ~CudaKernels() override;

  size_t size() const { return entries.size(); }
  const Entry &entry(size_t index) const { return entries[index]; }

private:
  CudaKernels(std::shared_ptr<CudaContext> context, CUmodule library)
      : context(std::move(context)), library(library) {}
  absl::StatusOr<CUfunction> find(const DeviceLaunch &launch, const std::string &path) const;

  std::shared_ptr<CudaContext> context;
  const CUmodule library;
  std::vector<Entry> entries;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDAKERNELS_H
