// `epigraph run`: continues prompts, and writes logits.
#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <chrono>
#include <cstdio>
#include <memory>

#include "runtime/base/Status.h"
#include "tools/epigraph/Commands.h"
#include "tools/epigraph/LogitsFile.h"
#include "tools/epigraph/ModelFlags.h"
#include "tools/epigraph/Prompts.h"
#include "tools/epigraph/RunReport.h"

namespace epigraph::tool {
namespace {

constexpr char kFooter[] = R"(Examples:
  epigraph run tiny.epi --prompt "Once upon a time"
  epigraph run tiny.epi --prompt "Once upon a time" --temperature 0.7 --top-p 0.9 --seed 1
  epigraph run tiny.epi --prompts prompts.jsonl --max-tokens 32 --json
  epigraph run tiny.epi --ids 0,5,7 --max-tokens 0 --logits logits.safetensors

A line of prompts.jsonl is {"prompt": "..."} or {"ids": [...]}, with an optional "max_tokens",
"temperature", "top_k", "top_p", "min_p" and "seed", which go before the flags. All prompts of a
file run together; results come in their order, one text a line.

By default the most likely token is taken every time. With a --temperature, tokens are drawn: logits
are divided by it, then --top-k, --top-p and --min-p leave out tokens, in this order, and one of
those that are left is drawn with its probability. What generation_config.json of the model proposes
for these numbers is not applied. Equal seeds give equal texts, whatever else runs in the batch.)";

struct RunFlags {
  ModelFlags model;
  std::string prompt;
  std::string prompts;
  std::string ids;
  int32_t maxTokens = 64;
  SamplingOptions sampling;
  std::string logits;
  std::string mtpLogits;
  bool json = false;
  CLI::Option *promptOption = nullptr;
  CLI::Option *promptsOption = nullptr;
};

absl::StatusOr<std::vector<GenerationRequest>> requestsOf(const RunFlags &flags,
                                                          const LoadedModel &model) {
  if (flags.promptsOption->count() > 0)
    return readPrompts(flags.prompts, model, flags.maxTokens, flags.sampling);
  GenerationRequest request;
  request.maxTokens = flags.maxTokens;
  request.eos = model.endTokens();
  request.sampling = flags.sampling;
  if (flags.promptOption->count() > 0) {
    EPIGRAPH_ASSIGN_OR_RETURN(request.ids, model.encode(flags.prompt));
  } else {
    EPIGRAPH_ASSIGN_OR_RETURN(request.ids, parseIds(flags.ids));
  }
  return std::vector<GenerationRequest>{std::move(request)};
}

absl::Status writeAllLogits(const RunFlags &flags, LoadedModel &model,
                            const GenerationRequest &request) {
  const absl::Span<const int32_t> ids = request.ids;
  const auto write = [&](const Passage &passage, const std::string &path, const char *name) {
    return writeLogits(model.session(), passage, talksToUser(model) ? path : "", name);
  };
  if (!flags.logits.empty())
    EPIGRAPH_RETURN_IF_ERROR(write({ids, {}}, flags.logits, "logits"));
  if (flags.mtpLogits.empty())
    return absl::OkStatus();
  if (ids.size() < 2)
    return absl::InvalidArgumentError(
        "--mtp-logits: expected at least two tokens; the MTP layer is given each with its next");
  // The last token has no next one, and so no row.
  return write({ids.first(ids.size() - 1), ids.subspan(1)}, flags.mtpLogits, "mtp_logits");
}

absl::Status run(const RunFlags &flags) {
  EPIGRAPH_RETURN_IF_ERROR(checkSampling(flags.sampling, "the flags"));
  const auto start = std::chrono::steady_clock::now();
  EPIGRAPH_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, flags.model.load());
  const std::chrono::duration<double> loading = std::chrono::steady_clock::now() - start;
  EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<GenerationRequest> requests,
                            requestsOf(flags, *model));
  EPIGRAPH_RETURN_IF_ERROR(writeAllLogits(flags, *model, requests.front()));

  const bool streams = flags.promptsOption->count() == 0 && !flags.json;
  TextStream stream(model->tokenizer());
  const auto print = [&](size_t, int32_t token) { stream.push(token); };
  const absl::StatusOr<GenerationReport> report =
      model->session().generate(requests, streams ? TokenCallback(print) : nullptr);
  // A text that broke off still ends its line; an error before the first token leaves no trace.
  if (streams && (report.ok() || stream.hasBegun()))
    stream.finish();
  EPIGRAPH_RETURN_IF_ERROR(report.status());
  if (flags.json)
    printJson(*model, requests, *report, loading.count(), flags.promptsOption->count() > 0);
  else if (!streams)
    printTexts(*model, *report);
  if (!flags.json && talksToUser(*model))
    printTimings(requests, *report, loading.count());
  return absl::OkStatus();
}

void addSamplingFlags(CLI::App &command, SamplingOptions &sampling) {
  CLI::Option_group *group = command.add_option_group("sampling", "How tokens are chosen");
  group
      ->add_option("--temperature", sampling.temperature,
                   "0, the default: the most likely token. Else tokens are drawn, from 0.001 "
                   "(nearly always the most likely) to 1000 (nearly all alike); 1: with the "
                   "model's own probabilities")
      ->option_text("T");
  group
      ->add_option("--top-k", sampling.topK,
                   "Only the K most likely tokens are drawn from; by default 0: all")
      ->option_text("K");
  group
      ->add_option("--top-p", sampling.topP,
                   "Of these, only the most likely that together have the share P of the "
                   "probability; by default 1: all")
      ->option_text("P");
  group
      ->add_option("--min-p", sampling.minP,
                   "Of these, only those at least P times as likely as the most likely; by "
                   "default 0: all")
      ->option_text("P");
  group
      ->add_option("--seed", sampling.seed,
                   "What the draws follow from; by default a new one for each prompt, which "
                   "--json tells")
      ->option_text("N");
}

} // namespace

Command addRunCommand(CLI::App &app) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App *command = app.add_subcommand("run", "Continue prompts");
  flags->model.addTo(*command);
  CLI::Option_group *input = command->add_option_group("input", "What to continue");
  flags->promptOption = input->add_option("--prompt", flags->prompt, "A text")->option_text("TEXT");
  flags->promptsOption =
      input->add_option("--prompts", flags->prompts, "A file of prompts, one JSON object a line")
          ->option_text("FILE.jsonl");
  input->add_option("--ids", flags->ids, "Token ids")->option_text("0,5,7");
  input->require_option(1);
  command->add_option("--max-tokens", flags->maxTokens, "Tokens to generate at most; by default 64")
      ->check(CLI::Range(0, INT32_MAX))
      ->option_text("N");
  addSamplingFlags(*command, flags->sampling);
  command
      ->add_option("--logits", flags->logits,
                   "Write the logits of every input position to this safetensors file: float32 "
                   "'logits' [positions, vocabulary]; not with --prompts")
      ->excludes(flags->promptsOption)
      ->option_text("FILE.safetensors");
  command
      ->add_option("--mtp-logits", flags->mtpLogits,
                   "The same of the MTP layer, 'mtp_logits', for every position but the last")
      ->excludes(flags->promptsOption)
      ->option_text("FILE.safetensors");
  command->add_flag(
      "--json", flags->json,
      "Print one JSON object: token_ids, text, sampling, timings; with --prompts, results");
  command->footer(kFooter);
  return {command, [flags] { return run(*flags); }};
}

} // namespace epigraph::tool
