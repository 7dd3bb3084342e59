// Memory of a GPU, and memory of the host that the GPU copies from and to by itself.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDAMEMORY_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDAMEMORY_H

#include <memory>
#include <string>

#include "runtime/device/CudaContext.h"
#include "runtime/device/Driver.h"
#include "runtime/device/MemoryPool.h"

namespace epigraph {

/// As a kernel's argument, or an address of memory that the driver gave.
inline CUdeviceptr devicePointer(const void *address) {
  return reinterpret_cast<CUdeviceptr>(address);
}

/// Memory of the GPU, as it comes: not zeroed.
/// Errors: ResourceExhausted over the cap of `pool`, or when the GPU has no more.
absl::StatusOr<std::unique_ptr<DeviceMemory>> allocateOnGpu(std::shared_ptr<CudaContext> context,
                                                            MemoryPool &pool, uint64_t bytes,
                                                            const std::string &purpose);

/// Pinned memory of the host, zeroed; no part of any pool.
/// Errors: ResourceExhausted when the host has no more.
absl::StatusOr<std::unique_ptr<DeviceMemory>>
allocatePinned(std::shared_ptr<CudaContext> context, uint64_t bytes, const std::string &purpose);

/// Bytes of the GPU that are free, less what kernels, graphs and NCCL take beside what is asked
/// for.
absl::StatusOr<uint64_t> availableOnGpu(const CudaContext &context);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDAMEMORY_H
