// Memory of a GPU that processes share: CUDA IPC.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDASHAREDMEMORY_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDASHAREDMEMORY_H

#include <memory>
#include <vector>

#include "runtime/device/CudaContext.h"
#include "runtime/device/Driver.h"

namespace epigraph {

/// As Driver::exportMemory and Driver::importMemory.
absl::StatusOr<std::vector<uint8_t>> exportFromGpu(const CudaContext &context,
                                                   const DeviceMemory &memory);
absl::StatusOr<std::unique_ptr<DeviceMemory>> importToGpu(std::shared_ptr<CudaContext> context,
                                                          absl::Span<const uint8_t> exported);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDASHAREDMEMORY_H
