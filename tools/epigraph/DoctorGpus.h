// The part of `epigraph doctor` that is about NVIDIA's GPUs.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_DOCTORGPUS_H
#define EPIGRAPH_TOOLS_EPIGRAPH_DOCTORGPUS_H

#include "absl/status/statusor.h"
#include "runtime/device/Machine.h"

namespace epigraph::tool {

/// Finds, measures and prints GPUs, what runs on them, and what is missing.
void examineGpus();

/// GPU `ordinal` as a target, measured. Errors: Unimplemented when this machine has none that can
/// be used; InvalidArgument for a number that none of them has.
absl::StatusOr<Machine> gpuAsTarget(int ordinal);

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_DOCTORGPUS_H
