// Pass plugins: shared objects that register passes of their own with MLIR.
#ifndef EPIGRAPH_COMPILER_DRIVER_PASSPLUGINS_H
#define EPIGRAPH_COMPILER_DRIVER_PASSPLUGINS_H

#include <filesystem>
#include <vector>

#include "absl/status/status.h"

namespace epigraph {

/// Loads `plugins` for the rest of the process and registers their passes; those that are loaded
/// already are left alone. InvalidArgument names the first that cannot be loaded, and why.
absl::Status loadPassPlugins(const std::vector<std::filesystem::path> &plugins);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_PASSPLUGINS_H
