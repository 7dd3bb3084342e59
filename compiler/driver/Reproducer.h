// What replays a failing pass: the IR just before it, with the pass, as one file for
// `epigraph-opt --run-reproducer`.
#ifndef EPIGRAPH_COMPILER_DRIVER_REPRODUCER_H
#define EPIGRAPH_COMPILER_DRIVER_REPRODUCER_H

#include <string>

#include "absl/status/statusor.h"
#include "mlir/Pass/PassManager.h"

#include "compiler/driver/Compile.h"

namespace epigraph {

/// Watches pass managers run. Passes that crash fail as others do.
class Reproducer {
public:
  /// Watches `passes` from now on; call once for each. `passes` may run as long as this lives, in a
  /// context without multi-threading. A copy of the IR is made before each pass.
  void watch(mlir::PassManager &passes);

  /// The flag of the pass that failed or crashed, or its name if it has no flag; empty: none.
  const std::string &failedPass() const { return state_.failed; }
  /// Whether it crashed: the IR may be in any state, and must not even be destroyed.
  bool crashed() const { return state_.crashed; }

  /// Writes the reproducer where `options` say. Returns the command line that replays it.
  absl::StatusOr<std::string> write(const CompileOptions &options) const;

  struct State {
    std::string running;
    std::string failed;
    bool crashed = false;
    std::string text; ///< IR and pass
  };

private:
  State state_;
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_REPRODUCER_H
