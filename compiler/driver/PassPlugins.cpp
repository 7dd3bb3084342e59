#include "compiler/driver/PassPlugins.h"

#include <mutex>
#include <set>

#include "mlir/Tools/Plugins/PassPlugin.h"

#include "runtime/base/Status.h"

namespace epigraph {

absl::Status loadPassPlugins(const std::vector<std::filesystem::path> &plugins) {
  static std::mutex mutex;
  static std::set<std::filesystem::path> loaded;
  std::lock_guard lock(mutex); // MLIR's registry has no lock of its own.
  for (const std::filesystem::path &plugin : plugins) {
    // Absolute: the loader would look for a bare name in the system's folders.
    std::error_code ignored;
    std::filesystem::path path = std::filesystem::weakly_canonical(plugin, ignored);
    if (path.empty() || loaded.count(path))
      continue;
    llvm::Expected<mlir::PassPlugin> library = mlir::PassPlugin::load(path.string());
    if (!library)
      return withCode(ErrorCode::BadPlugin, absl::InvalidArgumentError(absl::StrCat(
                                                "--load-pass-plugin=", plugin.string(), ": ",
                                                llvm::toString(library.takeError()),
                                                "; build it against this version of Epigraph, as "
                                                "docs/how-to/write-a-pass.md shows")));
    library->registerPassRegistryCallbacks();
    loaded.insert(path);
  }
  return absl::OkStatus();
}

} // namespace epigraph
