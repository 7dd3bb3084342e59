// What instructions this machine has, under the names that LLVM uses for them and that manifests
// list.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CPUFEATURES_H
#define EPIGRAPH_RUNTIME_DEVICE_CPUFEATURES_H

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace epigraph {

/// LLVM's names of the features that this machine has and its operating system saves the registers
/// of, in ascending order.
const std::vector<std::string> &cpuFeatures();

/// Errors: Unimplemented, naming every feature of `required` that is missing here.
absl::Status requireCpuFeatures(absl::Span<const std::string> required);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CPUFEATURES_H
