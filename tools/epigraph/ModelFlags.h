// The flags that every command which loads a model has.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_MODELFLAGS_H
#define EPIGRAPH_TOOLS_EPIGRAPH_MODELFLAGS_H

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/session/LoadedModel.h"

namespace CLI {
class App;
}

namespace epigraph::tool {

struct ModelFlags {
  std::string artifact;
  int threads = 0;
  std::string memoryPoolSize;
  double deadlineSeconds = 0;      ///< 0: as PlanExecutorOptions has it
  std::string peerMemory = "auto"; ///< or "gpu", "host"
  bool verify = false;

  /// Declares the flags on `app`; this object must outlive parsing.
  void addTo(CLI::App &app);

  /// Loads the model that they describe; stops at Ctrl-C. From then on only rank 0 has a standard
  /// output.
  absl::StatusOr<std::unique_ptr<LoadedModel>> load() const;
};

/// Whether this process prints and writes what a command finds: where ranks are processes, which
/// all come to the same, only rank 0 does.
bool talksToUser(const LoadedModel &model);

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_MODELFLAGS_H
