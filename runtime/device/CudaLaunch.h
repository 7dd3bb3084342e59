// Launches of kernels on a GPU: arguments laid out once, sizes worked out at each launch.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDALAUNCH_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDALAUNCH_H

#include <memory>
#include <vector>

#include "runtime/device/CudaKernels.h"

namespace epigraph {

class CudaLaunch : public PreparedLaunch {
public:
  /// Errors: as Driver::prepare. `library` must outlive it.
  static absl::StatusOr<std::unique_ptr<CudaLaunch>>
  prepare(const CudaContext &context, const CudaKernels &library, const LaunchBinding &binding);

  /// Launches the variant for `rows` rows into `stream`.
  absl::Status run(const CudaContext &context, CUstream stream, int64_t rows,
                   const StepBounds &bounds) const;

private:
  /// One launch of one variant, with its arguments as the driver takes them: an address for each.
  struct Part {
    const DeviceLaunch *launch;
    CUfunction function;
    std::vector<CUtensorMap> maps;
    std::vector<void *> arguments;

    absl::Status run(const CudaContext &context, CUstream stream, unsigned blocks) const;
  };

  explicit CudaLaunch(const CudaKernels::Entry &entry) : entry(entry) {}
  absl::StatusOr<Part> makePart(const CudaContext &context, const DeviceLaunch &launch,
                                CUfunction function, const LaunchBinding &binding);

  const CudaKernels::Entry &entry;
  /// What arguments of all parts point at: those of the plan, step, count, workspace; then numbers.
  std::vector<CUdeviceptr> pointers;
  int32_t factor = 1;
  int32_t capacity = 0;
  std::vector<std::vector<Part>> variants;
};

/// Blocks of `launch` for a step within these bounds, on a GPU with so many multiprocessors; 0 when
/// there is nothing to do.
int64_t blocksOf(const DeviceLaunch &launch, int64_t rows, const StepBounds &bounds,
                 int multiprocessors);

/// The first of `variants` that a step within these bounds may use; null when there is none.
const DeviceVariant *chooseVariant(absl::Span<const DeviceVariant> variants, int64_t rows,
                                   const StepBounds &bounds);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDALAUNCH_H
