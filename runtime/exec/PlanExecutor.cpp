#include "runtime/exec/PlanExecutor.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/Status.h"
#include "runtime/device/CpuDriver.h"
#include "runtime/exec/BatchCheck.h"
#include "runtime/exec/RankState.h"
#include "runtime/exec/RankThreads.h"

namespace epigraph {
namespace {

/// Ranks that one process runs as threads: more than any machine of today has use for.
constexpr uint32_t kMostRanks = 1024;

ModelInfo modelInfo(const Artifact &artifact) {
  const Manifest &manifest = artifact.manifest();
  const plan::Plan &plan = *artifact.plan();
  ModelInfo info;
  info.architecture = manifest.model.architecture;
  info.vocab = static_cast<int32_t>(manifest.model.vocab);
  info.hidden = static_cast<int32_t>(manifest.model.hidden);
  info.ranks = static_cast<int32_t>(plan.ranks());
  info.dataParallelAttention = plan.attention() == plan::Attention::Data;
  if (info.dataParallelAttention)
    info.lanes = static_cast<int32_t>(ranksAlong(plan::Axis::Expert, plan));
  info.maxBatchTokens = static_cast<int32_t>(plan.limits()->batch_tokens());
  info.maxSequences = static_cast<int32_t>(plan.limits()->sequences());
  info.maxContext = static_cast<int32_t>(plan.limits()->context());
  info.hasMtp = artifact.plan().function("mtp") != nullptr;
  info.hasDecode = artifact.plan().function("decode") != nullptr;
  return info;
}

absl::StatusOr<std::unique_ptr<Driver>> createDriver(const std::string &target, MemoryPool &pool,
                                                     int threads, bool spin) {
  if (target == "cpu" || absl::StartsWith(target, "cpu:"))
    return std::make_unique<CpuDriver>(pool, threads, spin);
  return withCode(ErrorCode::NoDriver, absl::UnimplementedError(absl::StrCat(
                                           "this runtime has no driver for target '", target,
                                           "'; compile the model again with --target cpu")));
}

} // namespace

/// How the processors are divided among the ranks.
struct PlanExecutor::Threads {
  Threads(int wanted, int ranks)
      : processors(availableProcessors()), total(std::max(wanted > 0 ? wanted : processors, ranks)),
        ranks(ranks) {}

  int of(int rank) const {
    const RowShare share = shareOf(total, rank, ranks);
    return static_cast<int>(share.end - share.begin);
  }
  /// Where threads outnumber processors, one that spins takes the time of one that works.
  bool spin() const { return total <= processors; }

  int processors;
  int total;
  int ranks;
};

/// Everything that rank threads use. When a rank is stuck it is left alone, with its threads.
struct PlanExecutor::State {
  State(ModelInfo info, int tensor, MemoryNeed need, uint64_t poolBytes,
        std::chrono::milliseconds deadline, const Threads &threads)
      : info(info), need(need), deadline(deadline), pool(poolBytes),
        mesh(info.ranks / tensor, tensor, {deadline, threads.spin()}), check(info) {}

  const ModelInfo info;
  const MemoryNeed need;
  const std::chrono::milliseconds deadline;
  MemoryPool pool;
  LocalMesh mesh;
  BatchCheck check;
  std::unique_ptr<Driver> sharedDriver; ///< of no rank: holds the shared weights
  Weights sharedWeights;
  std::vector<std::unique_ptr<RankState>> ranks;
  std::unique_ptr<RankThreads> threads; ///< last: joined before anything else goes
};

PlanExecutor::PlanExecutor(std::unique_ptr<State> state) : state(std::move(state)) {}

PlanExecutor::~PlanExecutor() {
  if (!state->threads->stuck())
    return;
  state->threads.reset();
  static_cast<void>(state.release());
}

absl::StatusOr<std::unique_ptr<PlanExecutor>>
PlanExecutor::create(const Artifact &artifact, const PlanExecutorOptions &options) {
  const plan::Plan &plan = *artifact.plan();
  const Manifest &manifest = artifact.manifest();
  if (plan.ranks() > kMostRanks)
    return absl::UnimplementedError(absl::StrCat("the artifact has ", plan.ranks(),
                                                 " ranks; one process runs up to ", kMostRanks));
  const uint64_t poolBytes =
      options.memoryPoolBytes ? options.memoryPoolBytes : MemoryPool::physicalBytes();
  const Threads threads(options.threads, static_cast<int>(plan.ranks()));

  // Nothing is allocated before target, features and memory are known to do.
  MemoryPool none(0);
  EPIGRAPH_ASSIGN_OR_RETURN(const std::unique_ptr<Driver> probe,
                            createDriver(manifest.target.name, none, 1, false));
  EPIGRAPH_RETURN_IF_ERROR(probe->requireFeatures(manifest.target.features));
  ModelInfo info = modelInfo(artifact);
  const uint64_t arrays = StepArrays::bytesFor(stepArrayLimits(artifact.plan(), info));
  EPIGRAPH_ASSIGN_OR_RETURN(const MemoryNeed need, epigraph::memoryNeed(plan, arrays));
  EPIGRAPH_ASSIGN_OR_RETURN(info.pages, choosePages(need, poolBytes, options.pages));

  auto state = std::make_unique<State>(info, static_cast<int>(plan.tensor()), need, poolBytes,
                                       options.deadline, threads);
  EPIGRAPH_RETURN_IF_ERROR(load(artifact, threads, *state));
  return std::unique_ptr<PlanExecutor>(new PlanExecutor(std::move(state)));
}

/// Allocates and loads all that `state` lacks.
absl::Status PlanExecutor::load(const Artifact &artifact, const Threads &threads, State &state) {
  const auto newDriver = [&](int count) {
    return createDriver(artifact.manifest().target.name, state.pool, count, threads.spin());
  };
  EPIGRAPH_ASSIGN_OR_RETURN(state.sharedDriver, newDriver(1));
  EPIGRAPH_ASSIGN_OR_RETURN(state.sharedWeights, Weights::load(artifact, {}, *state.sharedDriver));
  for (int rank = 0; rank < state.info.ranks; ++rank) {
    EPIGRAPH_ASSIGN_OR_RETURN(std::unique_ptr<Driver> driver, newDriver(threads.of(rank)));
    EPIGRAPH_ASSIGN_OR_RETURN(state.ranks.emplace_back(),
                              RankState::create(artifact, state.info, std::move(driver),
                                                state.sharedWeights, state.mesh, rank));
  }
  EPIGRAPH_ASSIGN_OR_RETURN(state.threads,
                            RankThreads::start(state.info.ranks, [ranks = &state.ranks](int rank) {
                              (*ranks)[static_cast<size_t>(rank)]->runStep();
                            }));
  return absl::OkStatus();
}

const ModelInfo &PlanExecutor::info() const { return state->info; }

const MemoryNeed &PlanExecutor::memoryNeed() const { return state->need; }

std::vector<StepTime> PlanExecutor::stepTimes() const {
  std::vector<StepTime> times;
  for (const std::unique_ptr<RankState> &rank : state->ranks)
    times.push_back(rank->runner().time());
  return times;
}

absl::StatusOr<std::vector<StepResult>> PlanExecutor::step(std::string_view function,
                                                           absl::Span<const StepBatch> batches,
                                                           bool wantHidden) {
  EPIGRAPH_RETURN_IF_ERROR(check(function, batches, wantHidden));
  const size_t ranksOfLane = state->ranks.size() / batches.size();
  for (size_t rank = 0; rank < state->ranks.size(); ++rank)
    state->ranks[rank]->load(function, batches[rank / ranksOfLane]);
  EPIGRAPH_RETURN_IF_ERROR(run());
  std::vector<StepResult> results;
  for (size_t lane = 0; lane < batches.size(); ++lane)
    results.push_back(state->ranks[lane * ranksOfLane]->result(wantHidden));
  return results;
}

absl::Status PlanExecutor::check(std::string_view function, absl::Span<const StepBatch> batches,
                                 bool wantHidden) {
  const ModelInfo &info = state->info;
  if (state->threads->stuck())
    return absl::FailedPreconditionError(
        "a rank never came back from an earlier step; load the artifact again");
  if (function != "main" && !(function == "mtp" && info.hasMtp) &&
      !(function == "decode" && info.hasDecode))
    return absl::InvalidArgumentError(
        absl::StrCat("the artifact has no function '", abslView(function), "'"));
  const RankState &rank = *state->ranks.front();
  if (wantHidden && !rank.givesHidden(function))
    return absl::InvalidArgumentError(
        absl::StrCat("function '", abslView(function), "' of the artifact has no hidden states"));
  const size_t lanes = static_cast<size_t>(info.lanes);
  if (batches.size() != lanes)
    return absl::InvalidArgumentError(
        absl::StrCat("a step of this artifact takes ", lanes, " batches; found ", batches.size()));
  for (const StepBatch &batch : batches)
    EPIGRAPH_RETURN_IF_ERROR(state->check.check(batch, rank.takesHidden(function)));
  return absl::OkStatus();
}

/// Runs the step that the ranks have loaded, and finds out what went wrong first.
absl::Status PlanExecutor::run() {
  const auto progress = [this] {
    uint64_t sum = 0;
    for (const std::unique_ptr<RankState> &rank : state->ranks)
      sum += rank->runner().progress();
    return sum;
  };
  const bool allBack = state->threads->run(state->deadline, progress);
  std::vector<int> lost;
  absl::Status worst;
  for (int rank = 0; rank < state->info.ranks; ++rank) {
    if (!state->threads->isBack(rank)) {
      lost.push_back(rank);
      continue;
    }
    // Aborted says only that another rank failed: that one's own words are better.
    const absl::Status &status = state->ranks[static_cast<size_t>(rank)]->status();
    if (worst.ok() || (absl::IsAborted(worst) && !status.ok()))
      worst = status;
  }
  if (!allBack)
    return withCode(ErrorCode::Deadline,
                    absl::DeadlineExceededError(absl::StrCat(
                        "rank ", absl::StrJoin(lost, ", rank "), " has made no progress for ",
                        state->deadline.count() / 1000.0, " s and did not come back",
                        worst.ok() ? "" : "; meanwhile: ", std::string(worst.message()))));
  // With every rank out of it, the group can be used again.
  if (!worst.ok())
    state->mesh.reset();
  return worst;
}

} // namespace epigraph
