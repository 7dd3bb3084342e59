// epigraph-compile: what `epigraph compile` runs. Parses the command line, shows progress, and
// prints what compileModel says.
#include <csignal>
#include <cstdio>
#include <iostream>

#include <unistd.h>

#include "CLI/CLI.hpp"

#include "compiler/driver/Compile.h"
#include "runtime/base/ExitCode.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"
#include "tools/epigraph-compile/CompileFlags.h"

using namespace epigraph;

namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

/// The first signal ends the compilation cleanly; a second one, at once.
void interrupt(int signal) {
  interrupted = true;
  std::signal(signal, SIG_DFL);
}

constexpr const char *kDescription =
    R"(Compiles a checkpoint into an artifact that `epigraph run` runs.

MODEL_DIR is a Hugging Face folder: config.json, *.safetensors, tokenizer.json.)";

std::string footer() {
  return "Phases, in order: " + phaseNames() + R"(

Examples:
  epigraph compile models/tiny-deepseek-v3 -o tiny.epi
  epigraph compile DeepSeek-V3 -o v3.epi --target cpu:x86-64-v4 --ep 8 --attention data
  epigraph compile config.json -o fast.epi --target cuda:sm_90a --weights random:1
  epigraph compile models/tiny-deepseek-v3 --stop-after fuse > fused.mlir
  epigraph compile models/tiny-deepseek-v3 -o tiny.epi --start-from fused.mlir --start-phase quantize
  epigraph compile models/tiny-deepseek-v3 -o tiny.epi --load-pass-plugin=./MyPass.so \
      --insert-pass='my-pass{limit=4}@fuse'

Messages carry a code, as in [E0302]; `epigraph explain E0302` says more.

Exit codes: 0 done, 1 internal error, 2 wrong usage, 3 bad checkpoint or output, 4 not supported,
5 out of resources, 130 interrupted. After a failure or Ctrl-C no partial artifact is left.)";
}

struct Arguments {
  CompileOptions options;
  std::filesystem::path output;
  std::string startPhase;
  std::string stopAfter;
  std::string report; ///< "text", "json" or empty
  bool json = false;
};

CLI::Validator isPhase() {
  return CLI::Validator(
      [](const std::string &name) {
        return phaseFromName(name) ? std::string() : "'" + name + "' is not one of " + phaseNames();
      },
      "PHASE");
}

/// Where to start and stop; returns --start-from, which fixes what import would decide.
CLI::Option *declareIr(CLI::App &app, Arguments &args) {
  CompileOptions &options = args.options;
  app.add_option("--dump-phases", options.dumpDirectory,
                 "folder for the IR after each phase, NN-PHASE.mlir")
      ->group(kPassGroup);
  app.add_option("--stop-after", args.stopAfter,
                 "phase to end after, with its IR as the result; without -o on standard output")
      ->check(isPhase())
      ->group(kPassGroup);
  app.add_flag("--keep-ir", options.keepIr,
               "put the IR into the artifact, for `epigraph inspect --graph`")
      ->group(kPassGroup);
  CLI::Option *startFrom =
      app.add_option("--start-from", options.startFrom,
                     "IR of this model to start from, as --stop-after or --dump-phases wrote it; "
                     "its limits stay, and the flags that shaped it must be given again")
          ->group(kPassGroup);
  CLI::Option *startPhase = app.add_option("--start-phase", args.startPhase,
                                           "with --start-from: the first phase to run, the one "
                                           "after that which wrote the file")
                                ->check(isPhase())
                                ->needs(startFrom)
                                ->group(kPassGroup);
  startFrom->needs(startPhase);
  app.add_option("--reproducer", options.reproducer,
                 "file for what replays a failing pass; default: epigraph-reproducer-PASS.mlir in "
                 "the folder of --dump-phases, or else here")
      ->group(kPassGroup);
  return startFrom;
}

void declare(CLI::App &app, Arguments &args) {
  app.footer(footer());
  app.failure_message([](const CLI::App *, const CLI::Error &error) {
    return "epigraph compile: error: [" + errorCodeText(ErrorCode::Usage) + "] " + error.what() +
           "\nRun with --help for more information.\n";
  });
  app.set_version_flag("--version", "epigraph " EPIGRAPH_VERSION);
  declareModelFlags(app, args.options);
  app.add_option("-o,--output", args.output,
                 "the artifact to write, NAME.epi; with --stop-after, the file for the IR");
  CLI::Option *startFrom = declareIr(app, args);
  for (CLI::Option *limit : declareLimitFlags(app, args.options.limits))
    limit->excludes(startFrom);
  declarePassFlags(app, args.options);
  app.add_flag("--report{text}", args.report,
               "print what was compiled: operations, kernels, memory, work and communication of a "
               "step, what each pass changed; --report=json as one JSON object")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("");
  app.add_flag("--json", args.json, "the same as --report=json");
}

/// One line on the terminal that is overwritten as phases go by.
void showProgress(Phase phase, double share) {
  const std::string name(phaseName(phase));
  if (share > 0)
    std::fprintf(stderr, "\r\033[K%s %3.0f %%", name.c_str(), share * 100);
  else
    std::fprintf(stderr, "\r\033[K%s", name.c_str());
}

/// Whether the result is IR, not an artifact.
bool stopsEarly(const CompileOptions &options) {
  return options.stopAfter && *options.stopAfter != Phase::Pack;
}

/// Writes the IR where it was asked for, and the report where it cannot mix with it.
absl::Status writeResult(const Arguments &args, const CompileResult &result) {
  bool printsIr = stopsEarly(args.options) && args.output.empty();
  if (printsIr)
    std::cout << result.ir;
  else if (stopsEarly(args.options))
    EPIGRAPH_RETURN_IF_ERROR(writeFileAtomically(args.output, result.ir));
  std::ostream &reportTo = printsIr ? std::cerr : std::cout;
  if (args.json || args.report == "json")
    reportTo << printReportJson(result.report);
  else if (!args.report.empty())
    reportTo << printReport(result.report);
  std::cout.flush();
  return std::cout ? absl::OkStatus() : absl::UnavailableError("standard output cannot be written");
}

int compile(Arguments &args) {
  CompileOptions &options = args.options;
  bool terminal = isatty(STDERR_FILENO);
  if (terminal)
    options.progress = showProgress;
  options.warning = [](std::string_view text) {
    std::fprintf(stderr, "epigraph compile: warning: %s\n", std::string(text).c_str());
  };
  options.cancelled = &interrupted;
  std::signal(SIGINT, interrupt);
  std::signal(SIGTERM, interrupt);

  absl::StatusOr<CompileResult> result = compileModel(options);
  if (terminal)
    std::fputs("\r\033[K", stderr);
  absl::Status status = result.ok() ? writeResult(args, *result) : result.status();
  if (!status.ok())
    std::fprintf(stderr, "epigraph compile: error: %s\n", errorText(status).c_str());
  return static_cast<int>(exitCodeOf(status));
}

} // namespace

int main(int argc, char **argv) {
  Arguments args;
  CLI::App app(kDescription, "epigraph compile");
  declare(app, args);
  try {
    app.parse(argc, argv);
    if (!args.stopAfter.empty())
      args.options.stopAfter = phaseFromName(args.stopAfter);
    if (!args.startPhase.empty())
      args.options.startPhase = *phaseFromName(args.startPhase);
    if (!stopsEarly(args.options))
      args.options.output = args.output;
    if (args.output.empty() && !stopsEarly(args.options))
      throw CLI::RequiredError("-o NAME.epi (or --stop-after PHASE)");
  } catch (const CLI::ParseError &error) {
    // CLI11 tells of --help and of mistakes by exceptions; they end here.
    int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(ExitCode::Usage);
  }
  return compile(args);
}
