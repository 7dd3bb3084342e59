#include "runtime/exec/PlanExecutor.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/Status.h"
#include "runtime/exec/LoadedRanks.h"

namespace epigraph {

PlanExecutor::PlanExecutor(std::unique_ptr<LoadedRanks> loaded) : loaded(std::move(loaded)) {}

/// When a rank is stuck it is left alone, with its threads, and all that they use.
PlanExecutor::~PlanExecutor() {
  if (!loaded->lost)
    return;
  loaded->threads.reset();
  static_cast<void>(loaded.release());
}

absl::StatusOr<std::unique_ptr<PlanExecutor>>
PlanExecutor::create(const Artifact &artifact, const PlanExecutorOptions &options) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::unique_ptr<LoadedRanks> loaded, loadRanks(artifact, options));
  return std::unique_ptr<PlanExecutor>(new PlanExecutor(std::move(loaded)));
}

const ModelInfo &PlanExecutor::info() const { return loaded->info; }

const MemoryNeed &PlanExecutor::memoryNeed() const { return loaded->need; }

int PlanExecutor::firstRank() const { return loaded->ranks.front()->rank(); }

std::vector<StepTime> PlanExecutor::stepTimes() const {
  std::vector<StepTime> times;
  for (const std::unique_ptr<RankState> &rank : loaded->ranks)
    times.push_back(rank->time());
  return times;
}

absl::StatusOr<std::vector<StepResult>> PlanExecutor::step(std::string_view function,
                                                           absl::Span<const StepBatch> batches,
                                                           bool wantHidden) {
  EPIGRAPH_RETURN_IF_ERROR(check(function, batches, wantHidden));
  size_t laneTokens = 0;
  for (const StepBatch &batch : batches)
    laneTokens = std::max(laneTokens, batch.ids.size());
  for (const std::unique_ptr<RankState> &rank : loaded->ranks)
    rank->load(function, batches[loaded->laneOf(*rank)], static_cast<int64_t>(laneTokens),
               wantHidden);
  EPIGRAPH_RETURN_IF_ERROR(loaded->threads ? runThreads() : runHere());
  if (loaded->lanes)
    return loaded->lanes->gather(batches, loaded->ranks.front()->result(), wantHidden);
  std::vector<StepResult> results;
  // Of the ranks that ran one lane, the first.
  for (const std::unique_ptr<RankState> &rank : loaded->ranks)
    if (loaded->laneOf(*rank) == results.size())
      results.push_back(rank->result());
  return results;
}

absl::StatusOr<uint64_t> PlanExecutor::agreeOn(uint64_t number) {
  if (!loaded->processes)
    return number;
  return loaded->processes->agreeOn(number, "a number that all ranks use");
}

absl::StatusOr<std::vector<std::chrono::nanoseconds>>
PlanExecutor::profile(std::string_view function, absl::Span<const StepBatch> batches, int steps) {
  constexpr int kUncounted = 2;
  for (int i = 0; i < kUncounted; ++i)
    EPIGRAPH_RETURN_IF_ERROR(step(function, batches, false).status());
  absl::Status status;
  for (const std::unique_ptr<RankState> &rank : loaded->ranks)
    rank->beginProfile();
  for (int i = 0; i < steps && status.ok(); ++i)
    status = step(function, batches, false).status();
  std::vector<std::chrono::nanoseconds> times;
  for (const std::unique_ptr<RankState> &rank : loaded->ranks)
    if (std::vector<std::chrono::nanoseconds> ofRank = rank->endProfile(); times.empty())
      times = std::move(ofRank);
  EPIGRAPH_RETURN_IF_ERROR(status);
  return times;
}

absl::Status PlanExecutor::check(std::string_view function, absl::Span<const StepBatch> batches,
                                 bool wantHidden) {
  const ModelInfo &info = loaded->info;
  if (loaded->lost)
    return absl::FailedPreconditionError(
        "a rank never came back from an earlier step; load the artifact again");
  if (function != "main" && !(function == "mtp" && info.hasMtp) &&
      !(function == "decode" && info.hasDecode))
    return absl::InvalidArgumentError(
        absl::StrCat("the artifact has no function '", abslView(function), "'"));
  const RankState &rank = *loaded->ranks.front();
  if (wantHidden && !rank.givesHidden(function))
    return absl::InvalidArgumentError(
        absl::StrCat("function '", abslView(function), "' of the artifact has no hidden states"));
  const size_t lanes = static_cast<size_t>(info.lanes);
  if (batches.size() != lanes)
    return absl::InvalidArgumentError(
        absl::StrCat("a step of this artifact takes ", lanes, " batches; found ", batches.size()));
  for (const StepBatch &batch : batches)
    EPIGRAPH_RETURN_IF_ERROR(loaded->check->check(batch, rank.takesHidden(function)));
  return absl::OkStatus();
}

/// Runs the step that the one rank of a device has loaded.
absl::Status PlanExecutor::runHere() {
  RankState &rank = *loaded->ranks.front();
  rank.runStep();
  const absl::Status &status = rank.status();
  // Whatever a rank was waiting for may still come, or never: it is left alone.
  loaded->lost = absl::IsDeadlineExceeded(status) || absl::IsAborted(status);
  if (!status.ok() && loaded->processes)
    loaded->processes->abort(status);
  return absl::IsDeadlineExceeded(status) ? withCode(ErrorCode::Deadline, status) : status;
}

/// Runs the step that the ranks have loaded, and finds out what went wrong first.
absl::Status PlanExecutor::runThreads() {
  const auto progress = [this] {
    uint64_t sum = 0;
    for (const std::unique_ptr<RankState> &rank : loaded->ranks)
      sum += rank->runner().progress();
    return sum;
  };
  const bool allBack = loaded->threads->run(loaded->deadline, progress);
  std::vector<int> missing;
  absl::Status worst;
  for (int rank = 0; rank < loaded->info.ranks; ++rank) {
    if (!loaded->threads->isBack(rank)) {
      missing.push_back(rank);
      continue;
    }
    // Aborted says only that another rank failed: that one's own words are better.
    const absl::Status &status = loaded->ranks[static_cast<size_t>(rank)]->status();
    if (worst.ok() || (absl::IsAborted(worst) && !status.ok()))
      worst = status;
  }
  loaded->lost = !allBack;
  if (!allBack)
    return withCode(ErrorCode::Deadline,
                    absl::DeadlineExceededError(absl::StrCat(
                        "rank ", absl::StrJoin(missing, ", rank "), " has made no progress for ",
                        loaded->deadline.count() / 1000.0, " s and did not come back",
                        worst.ok() ? "" : "; meanwhile: ", std::string(worst.message()))));
  // With every rank out of it, the group can be used again.
  if (!worst.ok())
    loaded->mesh->reset();
  return worst;
}

} // namespace epigraph
