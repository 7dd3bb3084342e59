// Tensor maps: how the GPU's copy engine (TMA) sees an operand.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDATENSORMAP_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDATENSORMAP_H

#include "runtime/artifact/DeviceKernel.h"
#include "runtime/device/CudaContext.h"

namespace epigraph {

/// The map that `spec` describes over an operand at `address` with room for `rows` rows.
/// Errors: Internal for a map that the driver refuses, saying what it was; InvalidArgument where
/// the map needs rows and the operand has none.
absl::StatusOr<CUtensorMap> encodeTensorMap(const CudaContext &context, const TensorMapSpec &spec,
                                            const void *address, uint32_t rows);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDATENSORMAP_H
