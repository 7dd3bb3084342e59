// The subcommands of `epigraph`, one file each. A command declares its flags on the application;
// the returned function runs it after parsing.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_COMMANDS_H
#define EPIGRAPH_TOOLS_EPIGRAPH_COMMANDS_H

#include <functional>
#include <string>
#include <vector>

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
Command addBenchCommand(CLI::App &app);
Command addTuneCommand(CLI::App &app);
Command addInspectCommand(CLI::App &app);
Command addDoctorCommand(CLI::App &app);
Command addExplainCommand(CLI::App &app);

/// Declares `compile` and `bisect` for the help text; `runCompilerCommand` does the work.
void addCompilerCommands(CLI::App &app);

/// Whether `name` is one of these.
bool isCompilerCommand(const char *name);

/// Replaces this process by `epigraph-COMMAND`, argv[1] being the command: the program beside this
/// one or else in PATH, with all arguments after the command. Returns only on failure: NotFound.
absl::Status runCompilerCommand(int argc, char **argv);

/// Replaces this process by `program`, found beside this one or else in PATH. Returns only on
/// failure: NotFound.
absl::Status runProgram(const std::string &program, std::vector<std::string> arguments);

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_COMMANDS_H
