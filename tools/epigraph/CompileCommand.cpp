// `epigraph compile`: hands over to the compiler, a program of its own, so that running a model
// never loads LLVM.
#include <unistd.h>

#include <CLI/App.hpp>
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

constexpr char kCompiler[] = "epigraph-compile";

/// The compiler beside this program, links resolved; empty when there is none.
std::string compilerBesideThis() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::canonical("/proc/self/exe", error);
  if (error)
    return "";
  const std::filesystem::path compiler = self.parent_path() / kCompiler;
  return access(compiler.c_str(), X_OK) == 0 ? compiler.string() : "";
}

} // namespace

void addCompileCommand(CLI::App &app) {
  app.add_subcommand("compile", "Compile a checkpoint into an artifact (runs epigraph-compile)")
      ->prefix_command();
}

absl::Status runCompiler(int argc, char **argv) {
  const std::string beside = compilerBesideThis();
  std::string program = beside.empty() ? kCompiler : beside;
  // The compiler names itself as the user called it, so that its messages and its help read on.
  std::vector<char *> arguments{program.data()};
  arguments.insert(arguments.end(), argv + 2, argv + argc);
  arguments.push_back(nullptr);
  execvp(program.c_str(), arguments.data());
  return absl::NotFoundError(absl::StrCat(
      "cannot run ", program, ": ", std::strerror(errno),
      beside.empty() ? "; expected it beside epigraph, or in PATH: this is an installation of the "
                       "runtime only"
                     : ""));
}

} // namespace epigraph::tool
