// `epigraph eval`: perplexity of a text.
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"
#include "tools/epigraph/Commands.h"
#include "tools/epigraph/ModelFlags.h"

namespace epigraph::tool {
namespace {

constexpr uint64_t kMaxTextBytes = uint64_t{4} << 30;

constexpr char kFooter[] = R"(Example:
  epigraph eval tiny.epi --text eval.txt

The whole text is encoded without special tokens and cut into windows; each window is run on its
own, after a begin-of-sequence token, and every token of it is scored. A last partial window is
dropped. The perplexity is exp of the mean negative log-likelihood of a token.)";

struct EvalFlags {
  ModelFlags model;
  std::string text;
  int32_t window = 1024;
  bool json = false;
};

/// Shows how far it is, ten times a second, on a terminal.
class ProgressLine {
public:
  explicit ProgressLine(bool wanted) : enabled(wanted && isatty(STDERR_FILENO) != 0) {}

  void show(int64_t done, int64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (!enabled || (done != total && now - last < std::chrono::milliseconds(100)))
      return;
    last = now;
    std::fprintf(stderr, "\r%lld of %lld tokens", static_cast<long long>(done),
                 static_cast<long long>(total));
    shown = true;
  }
  ~ProgressLine() {
    if (shown)
      std::fprintf(stderr, "\r\033[K");
  }

private:
  const bool enabled;
  std::chrono::steady_clock::time_point last;
  bool shown = false;
};

void print(const PerplexityReport &report, double seconds, bool asJson) {
  const double rate = static_cast<double>(report.tokens) / seconds;
  if (!asJson) {
    std::printf("perplexity %.4f (mean negative log-likelihood %.6f over %lld tokens in %zu "
                "windows; %.1f tokens/s)\n",
                report.perplexity, report.nll, static_cast<long long>(report.tokens),
                report.windowNll.size(), rate);
    return;
  }
  const nlohmann::ordered_json json = {
      {"perplexity", report.perplexity}, {"nll", report.nll},
      {"tokens", report.tokens},         {"windows", report.windowNll.size()},
      {"window_nll", report.windowNll},  {"seconds", seconds},
      {"tokens_per_second", rate}};
  std::printf("%s\n", json.dump().c_str());
}

absl::Status eval(const EvalFlags &flags) {
  EPIGRAPH_ASSIGN_OR_RETURN(const std::string text, readFile(flags.text, kMaxTextBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, flags.model.load());
  const std::optional<uint32_t> bos = model->artifact().manifest().tokens.bos;
  if (!bos)
    return withCode(ErrorCode::NoBos, absl::FailedPreconditionError(absl::StrCat(
                                          flags.model.artifact,
                                          " names no begin-of-sequence token, which every window "
                                          "starts with; its checkpoint's config had none")));
  absl::StatusOr<std::vector<int32_t>> ids = model->encode(text, /*addSpecial=*/false);
  if (!ids.ok())
    return withContext(ids.status(), flags.text);

  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<PerplexityReport> report;
  {
    ProgressLine line(talksToUser(*model));
    report =
        model->session().perplexity(*ids, static_cast<int32_t>(*bos), flags.window,
                                    [&](int64_t done, int64_t total) { line.show(done, total); });
  }
  EPIGRAPH_RETURN_IF_ERROR(report.status());
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  print(*report, time.count(), flags.json);
  return absl::OkStatus();
}

} // namespace

Command addEvalCommand(CLI::App &app) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App *command = app.add_subcommand("eval", "Measure the perplexity of a text");
  flags->model.addTo(*command);
  command->add_option("--text", flags->text, "The text, UTF-8")->required()->option_text("FILE");
  command->add_option("--window", flags->window, "Tokens of a window; by default 1024")
      ->check(CLI::Range(1, INT32_MAX - 1))
      ->option_text("N");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(kFooter);
  return {command, [flags] { return eval(*flags); }};
}

} // namespace epigraph::tool
