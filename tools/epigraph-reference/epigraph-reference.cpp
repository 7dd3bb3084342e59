// epigraph-reference: runs IR of any phase on the reference interpreter. Token ids go in; tokens,
// logits or a perplexity come out.
#include <cstdio>
#include <iostream>
#include <iterator>

#include "CLI/CLI.hpp"
#include "nlohmann/json.hpp"

#include "compiler/driver/ReferenceExecutor.h"
#include "runtime/artifact/Safetensors.h"
#include "runtime/base/ExitCode.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"
#include "runtime/session/Session.h"
#include "runtime/text/Tokenizer.h"
#include "tools/epigraph/LogitsFile.h"

using namespace epigraph;

namespace {

constexpr uint64_t kMaxInputBytes = uint64_t{1} << 30;

constexpr char kDescription[] =
    "Runs a module, as --dump-phases or epigraph-opt write it, on the reference interpreter: plain "
    "float32 C++, one function for each operation.";

constexpr char kFooter[] = R"(Examples:
  epigraph-reference 00-import.mlir --model models/tiny-deepseek-v3 --ids 0,5,7
  epigraph-opt --epi-choose-attention-form 01-canonicalize.mlir | \
      epigraph-reference - --model models/tiny-deepseek-v3 --ids 0,5,7 --logits logits.safetensors
  epigraph-reference 02-fuse.mlir --model models/tiny-deepseek-v3 --text eval.txt --bos 0

Exit codes: 0 done, 1 internal error or a failed operation, 2 wrong usage, 3 bad IR or checkpoint,
4 not supported, 5 out of resources.)";

struct Arguments {
  std::string ir;
  std::string model;
  std::vector<int32_t> ids;
  std::string idsFile;
  std::vector<int32_t> nextIds;
  std::string text;
  int32_t bos = 0;
  int32_t window = 1024;
  int32_t maxTokens = 0;
  std::string logits;
  std::string mtpLogits;
  std::string expertLoad; ///< where it is recorded
  bool json = false;
  ReferenceOptions options;
};

void declare(CLI::App &app, Arguments &args) {
  app.footer(kFooter);
  app.add_option("IR", args.ir, "module, as text; - for standard input")->required();
  auto *weights = app.add_option_group("weights", "Where weights come from: exactly one of");
  weights->add_option("--model", args.model, "checkpoint folder");
  weights->add_option("--random-weights", args.options.randomWeights,
                      "random weights of this seed");
  weights->require_option(1);
  auto *input = app.add_option_group("input", "What to run: exactly one of");
  input->add_option("--ids", args.ids, "token ids: 0,5,7")->delimiter(',');
  input->add_option("--ids-file", args.idsFile, "token ids from a file: FILE.safetensors:TENSOR");
  CLI::Option *text = input->add_option(
      "--text", args.text, "a text whose perplexity is measured, with the model's tokenizer.json");
  input->require_option(1);
  app.add_option("--bos", args.bos, "with --text: the token that each window starts with")
      ->needs(text)
      ->capture_default_str();
  app.add_option("--window", args.window, "with --text: tokens of a window")
      ->needs(text)
      ->check(CLI::Range(1, INT32_MAX - 1))
      ->capture_default_str();
  app.add_option("--max-tokens", args.maxTokens, "tokens to generate, greedily")
      ->check(CLI::NonNegativeNumber)
      ->excludes(text)
      ->capture_default_str();
  app.add_option("--logits", args.logits,
                 "write the logits of every position: 'logits' [positions, vocabulary]")
      ->excludes(text);
  CLI::Option *mtp =
      app.add_option("--mtp-logits", args.mtpLogits, "the same of the MTP layer, 'mtp_logits'")
          ->excludes(text);
  app.add_option("--next-ids", args.nextIds,
                 "with --mtp-logits: the token after each; default: the ids' own, and no row for "
                 "the last")
      ->delimiter(',')
      ->needs(mtp);
  app.add_option("--ranks", args.options.ranks, "ranks that run IR without a mesh")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--threads", args.options.threads, "threads of all ranks; 0: one for each core")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--batch-tokens", args.options.maxBatchTokens, "tokens of one step at most")
      ->check(CLI::PositiveNumber);
  app.add_flag("--round-to-types", args.options.roundToTypes,
               "round values of type bf16 to bf16; else everything is float32");
  app.add_option("--record-expert-load", args.expertLoad,
                 "write how many rows each expert was sent, for epigraph compile --expert-load; "
                 "for IR from before the phase partition");
  app.add_flag("--json", args.json, "print one JSON object");
}

absl::StatusOr<std::string> readIr(const std::string &path) {
  if (path != "-")
    return readFile(path, kMaxInputBytes);
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

/// The int32 or int64 tensor of "FILE:NAME".
absl::StatusOr<std::vector<int32_t>> readIds(const std::string &argument) {
  size_t colon = argument.rfind(':');
  if (colon == std::string::npos)
    return absl::InvalidArgumentError(
        absl::StrCat("--ids-file ", argument, ": expected FILE.safetensors:TENSOR"));
  EPIGRAPH_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(argument.substr(0, colon)));
  const StoredTensor *view = file.find(argument.substr(colon + 1));
  if (!view || (view->dtype != DType::I32 && view->dtype != DType::I64))
    return absl::InvalidArgumentError(
        absl::StrCat("--ids-file ", argument, ": expected an I32 or I64 tensor of that name"));
  size_t size = static_cast<size_t>(dtypeBytes(view->dtype));
  std::vector<int32_t> ids;
  for (size_t i = 0; i < view->elements(); ++i) {
    int64_t id = 0; // little-endian: the low half of an I64 comes first
    std::memcpy(&id, view->bytes.data() + i * size, size);
    if (id < 0 || id > INT32_MAX)
      return absl::InvalidArgumentError(
          absl::StrCat("--ids-file ", argument, ": element ", i, " is no token id"));
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

absl::Status measurePerplexity(const Arguments &args, Session &session) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::string text, readFile(args.text, kMaxInputBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(Tokenizer tokenizer,
                            Tokenizer::load(std::filesystem::path(args.model) / "tokenizer.json"));
  EPIGRAPH_ASSIGN_OR_RETURN(std::vector<int32_t> ids, tokenizer.encode(text, /*addSpecial=*/false));
  EPIGRAPH_ASSIGN_OR_RETURN(PerplexityReport report,
                            session.perplexity(ids, args.bos, args.window));
  if (args.json)
    std::cout << nlohmann::ordered_json{{"perplexity", report.perplexity},
                                        {"nll", report.nll},
                                        {"tokens", report.tokens},
                                        {"window_nll", report.windowNll}}
                     .dump(2)
              << '\n';
  else
    std::printf("perplexity %.6f over %lld tokens\n", report.perplexity,
                static_cast<long long>(report.tokens));
  return absl::OkStatus();
}

/// The ids' own next tokens, or those of the command line.
absl::Status writeMtpLogits(const Arguments &args, absl::Span<const int32_t> ids,
                            Session &session) {
  if (!args.nextIds.empty())
    return tool::writeLogits(session, {ids, args.nextIds}, args.mtpLogits, "mtp_logits");
  if (ids.size() < 2)
    return absl::InvalidArgumentError("--mtp-logits: expected at least two ids, or --next-ids");
  return tool::writeLogits(session, {ids.first(ids.size() - 1), ids.subspan(1)}, args.mtpLogits,
                           "mtp_logits");
}

absl::Status generate(const Arguments &args, std::vector<int32_t> ids, Session &session) {
  GenerationRequest request;
  request.ids = std::move(ids);
  request.maxTokens = args.maxTokens;
  EPIGRAPH_ASSIGN_OR_RETURN(GenerationReport report, session.generate({request}));
  nlohmann::ordered_json tokens = report.results.front().ids;
  if (args.json)
    std::cout << nlohmann::ordered_json{{"token_ids", tokens}}.dump() << '\n';
  else
    std::cout << tokens.dump() << '\n';
  return absl::OkStatus();
}

/// Format: docs/how-to/place-experts.md.
absl::Status writeExpertLoad(const std::string &path, const ExpertLoadCounts &counts) {
  if (counts.empty())
    return absl::InvalidArgumentError("--record-expert-load: no experts were run; give IR from "
                                      "before the phase partition, of a model that has some");
  const nlohmann::ordered_json json = {
      {"format", "epigraph-expert-load"}, {"version", 1}, {"layers", counts}};
  return writeFileAtomically(path, json.dump(1) + "\n");
}

absl::Status runSession(Arguments &args, Session &session);

absl::Status run(Arguments &args) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::string ir, readIr(args.ir));
  ExpertLoadCounts counts;
  if (!args.expertLoad.empty())
    args.options.expertLoad = &counts;
  EPIGRAPH_ASSIGN_OR_RETURN(std::unique_ptr<StepExecutor> executor,
                            openReferenceExecutor(ir, args.ir, args.model, args.options));
  Session session(*executor);
  EPIGRAPH_RETURN_IF_ERROR(runSession(args, session));
  return args.expertLoad.empty() ? absl::OkStatus() : writeExpertLoad(args.expertLoad, counts);
}

absl::Status runSession(Arguments &args, Session &session) {
  if (!args.text.empty())
    return measurePerplexity(args, session);
  std::vector<int32_t> ids = args.ids;
  if (!args.idsFile.empty()) {
    EPIGRAPH_ASSIGN_OR_RETURN(ids, readIds(args.idsFile));
  }
  if (!args.logits.empty())
    EPIGRAPH_RETURN_IF_ERROR(tool::writeLogits(session, {ids, {}}, args.logits, "logits"));
  if (!args.mtpLogits.empty())
    EPIGRAPH_RETURN_IF_ERROR(writeMtpLogits(args, ids, session));
  return generate(args, std::move(ids), session);
}

} // namespace

int main(int argc, char **argv) {
  Arguments args;
  CLI::App app(kDescription, "epigraph-reference");
  declare(app, args);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    // CLI11 tells of --help and of mistakes by exceptions; they end here.
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::Usage);
  }
  absl::Status status = run(args);
  if (!status.ok())
    std::fprintf(stderr, "epigraph-reference: error: %s\n", errorText(status).c_str());
  return static_cast<int>(exitCodeOf(status));
}
