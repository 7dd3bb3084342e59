// The command `epigraph`: the runtime, without the compiler.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/base/ErrorCode.h"
#include "tools/epigraph/Commands.h"
#include "tools/epigraph/Interrupt.h"

namespace {

using epigraph::ExitCode;

constexpr char kDescription[] =
    "Epigraph compiles mixture-of-experts language models ahead of time, and runs them.";

constexpr char kFooter[] = R"(Examples:
  epigraph compile models/tiny-deepseek-v3 -o tiny.epi --ep 2
  epigraph run tiny.epi --prompt "Once upon a time"
  epigraph eval tiny.epi --text eval.txt
  epigraph bench tiny.epi --batch 1,8
  epigraph inspect tiny.epi
  epigraph doctor
  epigraph bisect models/tiny-deepseek-v3
  epigraph explain E0302

Exit codes:
    0  done
    1  internal error: please report it
    2  usage: unknown flag, missing argument, impossible value
    3  bad input: artifact, checkpoint, tokenizer or prompt missing or broken
    4  unsupported: target feature, architecture, combination of options
    5  resources: memory, a limit that the artifact was compiled for, a deadline
  130  interrupted

Environment:
  PATH  where `epigraph compile` and `bisect` look for epigraph-compile and epigraph-bisect when
        they are not beside this program

Messages carry a code, as in [E0302]; `epigraph explain E0302` says more.
Results go to standard output; messages, and progress on a terminal, to standard error.)";

int finish(absl::Status status) {
  // A full disk behind a redirection is noticed only here.
  if (status.ok() && (std::fflush(stdout) != 0 || std::ferror(stdout)))
    status = absl::ResourceExhaustedError("cannot write all of standard output; is the disk full?");
  if (!status.ok())
    std::fprintf(stderr, "epigraph: error: %s\n", epigraph::errorText(status).c_str());
  const int code = static_cast<int>(epigraph::exitCodeOf(status));
  // What waits for a rank that is gone waits for ever, and libraries' exit handlers would with it.
  if (absl::IsAborted(status) || absl::IsDeadlineExceeded(status)) {
    std::fflush(nullptr);
    std::_Exit(code);
  }
  return code;
}

/// Help and version are no errors; everything else that stops parsing is a mistake in the call.
int finishParsing(const CLI::App &app, const CLI::ParseError &error) {
  if (error.get_exit_code() == 0)
    return app.exit(error);
  std::fprintf(stderr,
               "epigraph: error: [%s] %s\nRun `epigraph --help`, or `epigraph COMMAND --help`.\n",
               epigraph::errorCodeText(epigraph::ErrorCode::Usage).c_str(), error.what());
  return static_cast<int>(ExitCode::Usage);
}

} // namespace

int main(int argc, char **argv) {
  if (argc > 1 && epigraph::tool::isCompilerCommand(argv[1]))
    return finish(epigraph::tool::runCompilerCommand(argc, argv));

  CLI::App app(kDescription, "epigraph");
  app.set_version_flag("--version", "epigraph " EPIGRAPH_VERSION);
  app.footer(kFooter);
  app.require_subcommand(1);
  epigraph::tool::addCompilerCommands(app);
  const std::vector<epigraph::tool::Command> commands = {
      epigraph::tool::addRunCommand(app),     epigraph::tool::addEvalCommand(app),
      epigraph::tool::addBenchCommand(app),   epigraph::tool::addTuneCommand(app),
      epigraph::tool::addInspectCommand(app), epigraph::tool::addDoctorCommand(app),
      epigraph::tool::addExplainCommand(app)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return finishParsing(app, error);
  }
  epigraph::tool::catchInterrupts();
  for (const epigraph::tool::Command &command : commands)
    if (command.app->parsed())
      return finish(command.run());
  return static_cast<int>(ExitCode::Internal);
}
