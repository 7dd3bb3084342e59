// How the kernels of a device are launched, in the plan's words.
#ifndef EPIGRAPH_COMPILER_DRIVER_PLANKERNELWRITER_H
#define EPIGRAPH_COMPILER_DRIVER_PLANKERNELWRITER_H

#include "runtime/artifact/DeviceKernel.h"
#include "runtime/artifact/Plan.h"

namespace epigraph {

/// The plan's name for the type of stored elements; F32 for those that no plan has.
plan::DType planDType(DType dtype);

/// Adds the variants of `kernel` to `result`.
void addVariants(const DeviceKernel &kernel, plan::KernelT &result);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_PLANKERNELWRITER_H
