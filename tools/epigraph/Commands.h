// The subcommands of `epigraph`, one file each. A command declares its flags on the application;
// the returned function runs it after parsing.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_COMMANDS_H
#define EPIGRAPH_TOOLS_EPIGRAPH_COMMANDS_H

#include <functional>

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace epigraph::tool {

/// A subcommand and what it does. Results go to standard output, all else to standard error.
struct Command {
  CLI::App *app;
  std::function<absl::Status()> run;
};

Command addRunCommand(CLI::App &app);
Command addEvalCommand(CLI::App &app);
Command addInspectCommand(CLI::App &app);
Command addDoctorCommand(CLI::App &app);

/// Declares `compile` for the help text; `runCompiler` does the work.
void addCompileCommand(CLI::App &app);

/// Replaces this process by `epigraph-compile`, found beside this program or else in PATH, with all
/// arguments after "compile". Returns only on failure: NotFound.
absl::Status runCompiler(int argc, char **argv);

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_COMMANDS_H
