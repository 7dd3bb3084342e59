// `epigraph bench`: how long a step of a model takes.
#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_cat.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/Status.h"
#include "tools/epigraph/BenchProfile.h"
#include "tools/epigraph/Commands.h"
#include "tools/epigraph/ModelFlags.h"

namespace epigraph::tool {
namespace {

constexpr char kFooter[] = R"(Examples:
  epigraph bench tiny.epi
  epigraph bench v3.epi --batch 1,8,32,128 --context 1024 --steps 50 --json
  epigraph bench v3.epi --prefill 512,4096
  epigraph bench v3.epi --batch 32 --profile

A decode step has one new token of each of --batch sequences, each with --context tokens in the
caches; a prefill step has --prefill tokens of one sequence. Tokens are random, and so is what lies
in the caches. Times are medians over --steps steps after a few that do not count: `ms` from the
batch to its results in the host's memory (the best tokens where the target finds them, else the
logits), `host_ms` what of it the host was busy with. --profile adds what each kernel takes when all
run one after the other; in other steps, neighbours overlap.

Kernels one by one, and models beside transformers, are measured on a GPU by bench/gpu/run.py: see
docs/how-to/test-on-a-gpu.md.)";

struct BenchFlags {
  ModelFlags model;
  std::vector<int32_t> batches{1};
  std::vector<int32_t> prefills;
  int32_t context = 1024;
  int32_t steps = 20;
  bool profile = false;
  bool json = false;
};

struct Work {
  const char *kind;
  int32_t sequences;
  int32_t tokens; ///< new ones of each sequence
  int32_t context;
};

struct Timing {
  Work work;
  double ms = 0;
  double hostMs = 0;
  std::vector<ProfiledKernel> kernels; ///< with --profile
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

/// Sequences of `work`, side by side in the pages. The same ids every time.
StepBatch batchOf(const Work &work, const ModelInfo &info) {
  std::mt19937 random(1);
  StepBatch batch;
  batch.onlyChosen = true; // As generation asks.
  const int32_t length = work.context + work.tokens;
  batch.pageTableStride = static_cast<int32_t>((length + kPageTokens - 1) / kPageTokens);
  for (int32_t row = 0; row < work.sequences; ++row) {
    for (int32_t page = 0; page < batch.pageTableStride; ++page)
      batch.pageTable.push_back(row * batch.pageTableStride + page);
    for (int32_t token = 0; token < work.tokens; ++token) {
      batch.ids.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(info.vocab)));
      batch.positions.push_back(work.context + token);
      batch.sequence.push_back(row);
    }
    batch.outputRows.push_back((row + 1) * work.tokens - 1);
  }
  return batch;
}

absl::Status checkFits(const Work &work, const ModelInfo &info) {
  const int64_t length = int64_t{work.context} + work.tokens;
  const int64_t pages = work.sequences * ((length + kPageTokens - 1) / kPageTokens);
  const auto refuse = [&](const char *what, int64_t needed, int64_t most, const char *remedy) {
    return withCode(ErrorCode::BadLimit, absl::InvalidArgumentError(absl::StrCat(
                                             work.kind, " of ", work.sequences, " x ", work.tokens,
                                             " tokens after ", work.context, " needs ", needed, " ",
                                             what, "; the artifact has ", most, "; ", remedy)));
  };
  if (int64_t{work.sequences} * work.tokens > info.maxBatchTokens)
    return refuse("tokens in a step", int64_t{work.sequences} * work.tokens, info.maxBatchTokens,
                  "compile it with a larger --max-batch-tokens");
  if (work.sequences > info.maxSequences)
    return refuse("sequences in a step", work.sequences, info.maxSequences,
                  "compile it with a larger --max-seqs");
  if (length > info.maxContext)
    return refuse("positions", length, info.maxContext, "compile it with a larger --max-context");
  if (pages > info.pages)
    return refuse("pages of caches", pages, info.pages, "give it more memory, or less to do");
  return absl::OkStatus();
}

std::string_view functionOf(const Work &work, const ModelInfo &info) {
  return work.tokens == 1 && info.hasDecode ? "decode" : "main";
}

absl::StatusOr<std::vector<ProfiledKernel>> profile(LoadedModel &model, const Work &work,
                                                    int32_t steps) {
  PlanExecutor &executor = model.executor();
  const ModelInfo &info = executor.info();
  const std::vector<StepBatch> batches(static_cast<size_t>(info.lanes), batchOf(work, info));
  const std::string_view function = functionOf(work, info);
  EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<std::chrono::nanoseconds> times,
                            executor.profile(function, batches, steps));
  const Plan &plan = model.artifact().plan();
  return profiledKernels(*plan, *plan.function(function), times);
}

absl::StatusOr<Timing> measure(LoadedModel &model, const Work &work, int32_t steps) {
  using Clock = std::chrono::steady_clock;
  PlanExecutor &executor = model.executor();
  const ModelInfo &info = executor.info();
  EPIGRAPH_RETURN_IF_ERROR(checkFits(work, info));
  const std::vector<StepBatch> batches(static_cast<size_t>(info.lanes), batchOf(work, info));
  const std::string_view function = functionOf(work, info);
  constexpr int32_t kUncounted = 3;
  std::vector<double> total, host;
  for (int32_t step = 0; step < steps + kUncounted; ++step) {
    const Clock::time_point start = Clock::now();
    EPIGRAPH_RETURN_IF_ERROR(executor.step(function, batches, false).status());
    const std::chrono::duration<double, std::milli> took = Clock::now() - start;
    if (step < kUncounted)
      continue;
    total.push_back(took.count());
    const std::chrono::duration<double, std::milli> busy = executor.stepTimes().front().host();
    host.push_back(busy.count());
  }
  return Timing{work, median(total), median(host), {}};
}

void print(const std::vector<Timing> &timings, bool asJson) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Timing &timing : timings) {
    const Work &work = timing.work;
    const double rate = 1000.0 * work.sequences * work.tokens / timing.ms;
    nlohmann::ordered_json kernels = nlohmann::ordered_json::array();
    for (const ProfiledKernel &kernel : timing.kernels)
      kernels.push_back({{"name", kernel.name},
                         {"first_place", kernel.place},
                         {"count", kernel.count},
                         {"us", kernel.us}});
    all.push_back({{"kind", work.kind},
                   {"sequences", work.sequences},
                   {"tokens", work.tokens},
                   {"context", work.context},
                   {"ms", timing.ms},
                   {"host_ms", timing.hostMs},
                   {"tokens_per_second", rate}});
    if (!kernels.empty())
      all.back()["kernels"] = kernels;
    if (!asJson) {
      std::printf("%-8s %4d x %-5d after %6d: %9.3f ms a step, %7.3f ms of it the host's, "
                  "%10.1f tokens/s\n",
                  work.kind, work.sequences, work.tokens, work.context, timing.ms, timing.hostMs,
                  rate);
      if (!timing.kernels.empty())
        printProfile(timing.kernels);
    }
  }
  if (asJson)
    std::printf("%s\n", nlohmann::ordered_json{{"steps", all}}.dump().c_str());
}

absl::Status bench(const BenchFlags &flags) {
  EPIGRAPH_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, flags.model.load());
  std::vector<Work> works;
  for (int32_t batch : flags.batches)
    works.push_back({"decode", batch, 1, flags.context});
  for (int32_t tokens : flags.prefills)
    works.push_back({"prefill", 1, tokens, 0});
  std::vector<Timing> timings;
  for (const Work &work : works) {
    EPIGRAPH_ASSIGN_OR_RETURN(timings.emplace_back(), measure(*model, work, flags.steps));
    if (flags.profile) {
      EPIGRAPH_ASSIGN_OR_RETURN(timings.back().kernels, profile(*model, work, flags.steps));
    }
  }
  print(timings, flags.json);
  return absl::OkStatus();
}

} // namespace

Command addBenchCommand(CLI::App &app) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App *command = app.add_subcommand("bench", "Measure how long steps take");
  flags->model.addTo(*command);
  command->add_option("--batch", flags->batches, "Sequences of decode steps; by default 1")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536))
      ->option_text("N,...");
  command->add_option("--prefill", flags->prefills, "Tokens of prefill steps; by default none")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20))
      ->option_text("N,...");
  command->add_option("--context", flags->context, "Tokens before a decode step's; by default 1024")
      ->check(CLI::Range(0, INT32_MAX - 1))
      ->option_text("N");
  command->add_option("--steps", flags->steps, "Steps that count; by default 20")
      ->check(CLI::Range(1, 1000000))
      ->option_text("N");
  command->add_flag("--profile", flags->profile, "Also what each kernel of a step takes");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(kFooter);
  return {command, [flags] { return bench(*flags); }};
}

} // namespace epigraph::tool
