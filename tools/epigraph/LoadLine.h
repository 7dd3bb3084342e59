// One line on the terminal that tells how far the loading of a model has come.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_LOADLINE_H
#define EPIGRAPH_TOOLS_EPIGRAPH_LOADLINE_H

#include <chrono>
#include <string>

#include "runtime/exec/PlanExecutor.h"

namespace epigraph::tool {

/// What the line says of `stage`, which has taken so long: "loading weights: 12.30 GiB of 37.61
/// GiB, 5.10 GiB/s".
std::string loadText(const LoadStage &stage, std::chrono::duration<double> taken);

/// Writes the line to standard error where that is a terminal and loading takes long enough to be
/// waited for, and wipes it out at the end.
class LoadLine {
public:
  LoadLine();
  ~LoadLine();

  /// What to tell executors to call; null where nothing is written. Not after this object's end.
  LoadProgress progress();

private:
  using Clock = std::chrono::steady_clock;

  void update(const LoadStage &stage);

  const bool isTerminal;
  std::string what; ///< of the stage that goes on
  Clock::time_point begun, written;
  bool isThere = false;
};

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_LOADLINE_H
