// The GPU that a process drives: chosen, checked, and its context held.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDACONTEXT_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDACONTEXT_H

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/device/CudaApi.h"

namespace epigraph {

/// What a GPU is, read without taking any of its memory.
struct GpuIdentity {
  int ordinal = 0; ///< among those that CUDA_VISIBLE_DEVICES leaves
  CUdevice device = 0;
  std::string name;
  int major = 0, minor = 0; ///< compute capability
  int multiprocessors = 0;
  int sharedBytes = 0; ///< the most that one block can have
  int clockKhz = 0;    ///< of the multiprocessors, at their fastest
  uint64_t memoryBytes = 0;
};

/// GPUs that this process sees.
absl::StatusOr<int> gpuCount(const CudaApi &api);
absl::StatusOr<GpuIdentity> identifyGpu(const CudaApi &api, int ordinal);

/// The number of this rank on its machine, from the environment that torchrun, mpirun or srun make;
/// 0 without any. Errors: InvalidArgument for a value that is no number.
absl::StatusOr<int> localRank();

/// The GPU of this rank: as many ranks as GPUs, in order.
/// Errors: Unimplemented when there are fewer GPUs than that, or none.
absl::StatusOr<GpuIdentity> gpuOfThisRank(const CudaApi &api);

/// Whether `gpu` runs kernels that were compiled for `architectures`, by ptxas' names ("sm_90a").
/// Errors: Unimplemented, saying what it is and what is needed.
absl::Status requireArchitectures(const GpuIdentity &gpu,
                                  absl::Span<const std::string> architectures);

/// The primary context of a GPU, which all users of the GPU in this process share (NCCL and PyTorch
/// too). Shared by whatever lives in it.
class CudaContext {
public:
  /// Takes some hundred MiB of the GPU's memory if nobody in this process has its context yet.
  static absl::StatusOr<std::shared_ptr<CudaContext>> open(const CudaApi &api,
                                                           const GpuIdentity &gpu);
  ~CudaContext();
  CudaContext(const CudaContext &) = delete;
  CudaContext &operator=(const CudaContext &) = delete;

  const CudaApi &api() const { return functions; }
  const GpuIdentity &gpu() const { return identity; }

  /// Lets kernels and copies of this context reach the memory of `other`'s GPU, if they are linked.
  absl::Status reach(const CudaContext &other) const;

  /// Makes it the calling thread's, as every call below needs it; costs some ten nanoseconds.
  void use() const { functions.ctxSetCurrent(context); }

  /// `result` as a status. A failure of earlier work, which whatever comes next reports, is told
  /// from one of the call itself. Errors: as CudaApi::check.
  absl::Status check(CUresult result, std::string_view what) const;

private:
  CudaContext(const CudaApi &api, GpuIdentity gpu, CUcontext context)
      : functions(api), identity(std::move(gpu)), context(context) {}

  const CudaApi &functions;
  const GpuIdentity identity;
  const CUcontext context;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDACONTEXT_H
