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
  epigraph compile models/tiny-deepseek-v3 --stop-after fuse > fused.mlir

Exit codes: 0 done, 1 internal error, 2 wrong usage, 3 bad checkpoint or output, 4 not supported,
5 out of resources, 130 interrupted. After a failure or Ctrl-C no partial artifact is left.)";
}

struct Arguments {
  CompileOptions options;
  std::filesystem::path output;
  std::string stopAfter;
  bool report = false;
  bool json = false;
};

void declare(CLI::App &app, Arguments &args) {
  CompileOptions &options = args.options;
  app.footer(footer());
  app.add_option("MODEL_DIR", options.model, "checkpoint folder")->required();
  app.set_version_flag("--version", "epigraph " EPIGRAPH_VERSION);
  app.add_option("-o,--output", args.output,
                 "the artifact to write, NAME.epi; with --stop-after, the file for the IR");
  app.add_option("--target", options.target,
                 "machine to compile for: cpu (this one), cpu:x86-64-v3, cpu:x86-64-v4")
      ->capture_default_str();
  app.add_option("--ep", options.ranks, "ranks that share the experts; must divide their number")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--attention", options.attention,
                 "replicated: every rank runs attention on all tokens; data: each on sequences of "
                 "its own")
      ->transform(CLI::CheckedTransformer(std::map<std::string, AttentionSharing>{
                                              {"replicated", AttentionSharing::Replicated},
                                              {"data", AttentionSharing::Data}})
                      .description("replicated|data"))
      ->default_str("replicated");
  app.add_option("--compute", options.compute,
                 "type of activations and weights; sums are in float32")
      ->transform(CLI::CheckedTransformer(
                      std::map<std::string, ComputeType>{{"bf16", ComputeType::BFloat16},
                                                         {"float32", ComputeType::Float32}})
                      .description("bf16|float32"))
      ->default_str("bf16");
  app.add_option("--max-batch-tokens", options.limits.batchTokens,
                 "most tokens of one rank in one step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--max-seqs", options.limits.sequences, "most sequences of one rank in one step")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  app.add_option("--max-context", options.limits.maxContext,
                 "longest sequence, in tokens; default: the model's, at most " +
                     std::to_string(kDefaultMaxContext))
      ->check(CLI::Range(1, 1 << 26));
  app.add_option("--dump-phases", options.dumpDirectory,
                 "folder for the IR after each phase, NN-PHASE.mlir");
  app.add_option("--stop-after", args.stopAfter,
                 "phase to end after, with its IR as the result; without -o on standard output")
      ->check([](const std::string &name) {
        return phaseFromName(name) ? std::string() : "'" + name + "' is not one of " + phaseNames();
      });
  app.add_flag("--report", args.report, "print what was compiled: operations, kernels, memory");
  app.add_flag("--json", args.json, "print the report as one JSON object");
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
  if (args.json)
    reportTo << printReportJson(result.report);
  else if (args.report)
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
    std::fprintf(stderr, "epigraph compile: error: %s\n", std::string(status.message()).c_str());
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
