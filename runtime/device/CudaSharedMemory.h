// Memory that processes share, and the GPUs of all of them reach: of a GPU, by CUDA IPC, where they
// are linked; else of the host.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDASHAREDMEMORY_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDASHAREDMEMORY_H

#include <memory>
#include <vector>

#include "runtime/device/CudaContext.h"
#include "runtime/device/Driver.h"

namespace epigraph {

/// As Driver::exportMemory, allocateShared and importMemory.
absl::StatusOr<std::vector<uint8_t>> exportFromGpu(const CudaContext &context,
                                                   const DeviceMemory &memory);
absl::StatusOr<SharedMemory> shareHostMemory(std::shared_ptr<CudaContext> context, uint64_t bytes,
                                             const std::string &purpose);
absl::StatusOr<std::unique_ptr<DeviceMemory>> importToGpu(std::shared_ptr<CudaContext> context,
                                                          absl::Span<const uint8_t> exported);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDASHAREDMEMORY_H
