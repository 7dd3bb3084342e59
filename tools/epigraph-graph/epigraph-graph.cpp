// epigraph-graph: what `epigraph inspect --graph` runs. Writes the graph of a module as a page.
#include <cstdio>

#include "CLI/CLI.hpp"

#include "compiler/inspect/GraphPage.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/base/ExitCode.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

using namespace epigraph;

namespace {

constexpr uint64_t kMaxIrBytes = uint64_t{1} << 30;

constexpr const char *kFooter = R"(Examples:
  epigraph compile models/tiny-deepseek-v3 -o tiny.epi --keep-ir
  epigraph inspect tiny.epi --graph tiny.html
  epigraph inspect dumps/07-plan-memory.mlir --graph plan.html

Exit codes: 0 done, 1 internal error, 2 wrong usage, 3 bad artifact, IR or output.)";

struct Arguments {
  std::filesystem::path input;
  std::filesystem::path output;
};

/// The file of the IR that `input` names: itself, or the one in an artifact.
absl::StatusOr<std::filesystem::path> irFile(const std::filesystem::path &input) {
  std::error_code error;
  if (!std::filesystem::is_directory(input, error))
    return input;
  EPIGRAPH_RETURN_IF_ERROR(Artifact::open(input, VerifyMode::Quick).status());
  const std::filesystem::path file = input / kIrFile;
  if (!std::filesystem::exists(file, error))
    return absl::NotFoundError(absl::StrCat(
        "artifact '", input.string(),
        "' holds no IR to draw; compile it again with --keep-ir, or name a .mlir file that "
        "--dump-phases wrote"));
  return file;
}

absl::Status write(const Arguments &args) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::filesystem::path file, irFile(args.input));
  EPIGRAPH_ASSIGN_OR_RETURN(std::string ir, readFile(file, kMaxIrBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(std::string page, graphPageOfText(ir, file.string()));
  return writeFileAtomically(args.output, page);
}

} // namespace

int main(int argc, char **argv) {
  Arguments args;
  CLI::App app("Draws the graph of an artifact or of IR as one HTML page.", "epigraph-graph");
  app.footer(kFooter);
  app.set_version_flag("--version", "epigraph " EPIGRAPH_VERSION);
  app.add_option("INPUT", args.input, "artifact, or IR as text")->required();
  app.add_option("-o,--output", args.output, "the page to write, FILE.html")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    // CLI11 tells of --help and of mistakes by exceptions; they end here.
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::Usage);
  }
  absl::Status status = write(args);
  if (!status.ok())
    std::fprintf(stderr, "epigraph inspect: error: %s\n", errorText(status).c_str());
  return static_cast<int>(exitCodeOf(status));
}
