// `epigraph compile` and `epigraph bisect`: hand over to programs of their own, so that running a
// model never loads LLVM.
#include <unistd.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "runtime/base/Status.h"
#include "tools/epigraph/Commands.h"

namespace epigraph::tool {
namespace {

/// Commands that are programs, `epigraph-COMMAND`.
constexpr std::pair<const char *, const char *> kPrograms[] = {
    {"compile", "Compile a checkpoint into an artifact (runs epigraph-compile)"},
    {"bisect", "Find the pass or kernel that gives wrong numbers (runs epigraph-bisect)"},
};

/// `program` beside this one, links resolved; empty when there is none.
std::string besideThis(const std::string &program) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::canonical("/proc/self/exe", error);
  if (error)
    return "";
  const std::filesystem::path path = self.parent_path() / program;
  return access(path.c_str(), X_OK) == 0 ? path.string() : "";
}

} // namespace

void addCompilerCommands(CLI::App &app) {
  for (const auto &[name, description] : kPrograms)
    app.add_subcommand(name, description)->prefix_command();
}

bool isCompilerCommand(const char *name) {
  return std::any_of(std::begin(kPrograms), std::end(kPrograms),
                     [&](const auto &program) { return std::strcmp(program.first, name) == 0; });
}

absl::Status runCompilerCommand(int argc, char **argv) {
  return runProgram(absl::StrCat("epigraph-", argv[1]), {argv + 2, argv + argc});
}

absl::Status runProgram(const std::string &name, std::vector<std::string> arguments) {
  const std::string beside = besideThis(name);
  std::string program = beside.empty() ? name : beside;
  // The program names itself as the user called it, so that its messages and its help read on.
  std::vector<char *> all{program.data()};
  for (std::string &argument : arguments)
    all.push_back(argument.data());
  all.push_back(nullptr);
  execvp(program.c_str(), all.data());
  return absl::NotFoundError(absl::StrCat(
      "cannot run ", program, ": ", std::strerror(errno),
      beside.empty() ? "; expected it beside epigraph, or in PATH: this is an installation of the "
                       "runtime only"
                     : ""));
}

} // namespace epigraph::tool
