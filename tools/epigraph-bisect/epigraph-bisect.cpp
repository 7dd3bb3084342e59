// epigraph-bisect: what `epigraph bisect` runs. Compiles as epigraph-compile does, compares every
// stage with the reference, and says where numbers go wrong first.
#include <cstdio>
#include <iostream>

#include <unistd.h>

#include "CLI/CLI.hpp"

#include "compiler/bisect/Bisect.h"
#include "runtime/base/ExitCode.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"
#include "runtime/text/Tokenizer.h"
#include "tools/epigraph-compile/CompileFlags.h"

using namespace epigraph;

namespace {

/// A divergence is a finding, not an error: a code of its own, for scripts and git bisect.
constexpr int kDivergenceFound = 10;
constexpr uint64_t kMaxTextBytes = 1 << 20;

constexpr const char *kDescription =
    R"(Finds where a compilation starts to give wrong numbers.

Runs the imported graph on the reference target, then the IR after each phase, then after each pass
of the first phase that differs, and names the operation. If all IR is right, every kernel runs on
this machine against its own body.)";

constexpr const char *kFooter = R"(Examples:
  epigraph bisect models/tiny-deepseek-v3
  epigraph bisect models/tiny-deepseek-v3 --ep 2 --ids 0,5,7 --ids 0,9
  epigraph bisect models/tiny-deepseek-v3 --load-pass-plugin=./MyPass.so --insert-pass=my-pass@fuse
  epigraph bisect models/tiny-deepseek-v3 --kernels tiny.epi/kernels.so
  epigraph bisect --replay epigraph-bisect

The folder of --save then holds op.mlir (the operation alone) and values.safetensors (operand.N,
actual.N and, of kernels, expected.N), which --replay runs; of a pass also before.mlir and
after.mlir, which epigraph-reference runs.

Exit codes: 0 no divergence, 10 a divergence was found, 1 internal error, 2 wrong usage, 3 bad
checkpoint or input, 4 not supported, 5 out of resources.)";

struct Arguments {
  BisectOptions options;
  std::vector<std::string> ids;
  std::string text;
  std::string replay;
  bool json = false;
};

void declare(CLI::App &app, Arguments &args) {
  app.footer(kFooter);
  app.failure_message([](const CLI::App *, const CLI::Error &error) {
    return "epigraph bisect: error: [" + errorCodeText(ErrorCode::Usage) + "] " + error.what() +
           "\nRun with --help for more information.\n";
  });
  app.set_version_flag("--version", "epigraph " EPIGRAPH_VERSION);
  declareModelFlags(app, args.options.compile);
  CLI::Option *ids =
      app.add_option("--ids", args.ids,
                     "token ids of a sequence to run, 0,5,7; may be given several times; default: "
                     "three short sequences")
          ->type_name("ID,ID,...")
          ->allow_extra_args(false)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--text", args.text, "file of a text to run, with the model's tokenizer.json")
      ->excludes(ids);
  app.add_option("--tolerance", args.options.tolerance,
                 "relative error from which results of the IR differ")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--kernels", args.options.kernels,
                 "kernel library to test in place of the one just compiled");
  app.add_option("--save", args.options.save, "folder for what is found")->capture_default_str();
  declareLimitFlags(app, args.options.compile.limits);
  declarePassFlags(app, args.options.compile);
  app.add_flag("--json", args.json, "print one JSON object");
  app.add_option("--replay", args.replay,
                 "folder that --save wrote: runs its operation on the reference, and says how far "
                 "its values are from that");
}

absl::StatusOr<std::vector<int32_t>> parseIds(const std::string &text) {
  std::vector<int32_t> ids;
  for (const std::string &part : CLI::detail::split(text, ',')) {
    int32_t id = 0;
    if (!CLI::detail::lexical_cast(part, id) || id < 0)
      return absl::InvalidArgumentError(absl::StrCat(
          "--ids ", text, ": '", part, "' is no token id; expected ids such as 0,5,7"));
    ids.push_back(id);
  }
  return ids;
}

absl::Status readSequences(Arguments &args) {
  for (const std::string &text : args.ids) {
    EPIGRAPH_ASSIGN_OR_RETURN(args.options.sequences.emplace_back(), parseIds(text));
  }
  if (args.text.empty())
    return absl::OkStatus();
  EPIGRAPH_ASSIGN_OR_RETURN(Tokenizer tokenizer,
                            Tokenizer::load(args.options.compile.model / "tokenizer.json"));
  EPIGRAPH_ASSIGN_OR_RETURN(std::string text, readFile(args.text, kMaxTextBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(args.options.sequences.emplace_back(),
                            tokenizer.encode(text, /*addSpecial=*/true));
  return absl::OkStatus();
}

absl::StatusOr<BisectResult> run(Arguments &args) {
  EPIGRAPH_RETURN_IF_ERROR(readSequences(args));
  if (isatty(STDERR_FILENO))
    args.options.progress = [](const std::string &what) {
      std::fprintf(stderr, "%s\n", what.c_str());
    };
  args.options.compile.warning = [](std::string_view text) {
    std::fprintf(stderr, "epigraph bisect: warning: %s\n", std::string(text).c_str());
  };
  return bisect(args.options);
}

/// `epigraph bisect --replay DIR`: there is no model to name.
int replaySaved(const std::string &folder) {
  absl::StatusOr<std::vector<ReplayedResult>> results = replay(folder);
  if (results.ok())
    std::cout << printReplayed(*results) << std::flush;
  else
    std::fprintf(stderr, "epigraph bisect: error: %s\n", errorText(results.status()).c_str());
  return static_cast<int>(exitCodeOf(results.status()));
}

} // namespace

int main(int argc, char **argv) {
  Arguments args;
  CLI::App app(kDescription, "epigraph bisect");
  declare(app, args);
  if (argc == 3 && std::string_view(argv[1]) == "--replay")
    return replaySaved(argv[2]);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    // CLI11 tells of --help and of mistakes by exceptions; they end here.
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::Usage);
  }
  absl::StatusOr<BisectResult> result = run(args);
  if (!result.ok()) {
    std::fprintf(stderr, "epigraph bisect: error: %s\n", errorText(result.status()).c_str());
    return static_cast<int>(exitCodeOf(result.status()));
  }
  std::cout << (args.json ? printBisectResultJson(*result) : printBisectResult(*result));
  std::cout.flush();
  if (!std::cout)
    return static_cast<int>(ExitCode::Resources);
  return result->divergence ? kDivergenceFound : 0;
}
