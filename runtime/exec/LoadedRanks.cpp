// Loads an artifact. What can be refused is refused before memory is taken, in the order: ranks,
// target, features, memory.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/artifact/DeviceRows.h"
#include "runtime/artifact/Sha256.h"
#include "runtime/base/Status.h"
#include "runtime/comm/LocalCommunicator.h"
#include "runtime/device/CpuDriver.h"
#include "runtime/exec/HostStepMemory.h"
#include "runtime/exec/LoadedRanks.h"
#include "runtime/exec/OpenCommunicator.h"
#include "runtime/exec/RankIdentity.h"

namespace epigraph {
namespace {

/// Ranks that one process runs as threads: more than any machine of today has use for.
constexpr uint32_t kMostRanks = 1024;

// Longest waits, by default. What a step takes on a device is far below a second.
constexpr std::chrono::milliseconds kThreadDeadline = std::chrono::seconds(60);
constexpr std::chrono::milliseconds kProcessDeadline = std::chrono::seconds(6);
/// Until all processes of a job have started.
constexpr std::chrono::milliseconds kJoinDeadline = std::chrono::seconds(60);
/// Ranks may read their weights at different speeds.
constexpr std::chrono::milliseconds kLoadDeadline = std::chrono::minutes(10);

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

/// Whether rows of experts go through a communicator, and not from kernel to kernel.
bool sendsExpertRows(const plan::Plan &plan) {
  for (const plan::Function *function : *plan.functions())
    for (const plan::Step *step : *function->steps())
      if (step->op_as_ScatterExperts() || step->op_as_GatherExperts())
        return true;
  return false;
}

/// How the processors are divided among the ranks.
class Threads {
public:
  Threads(int wanted, int ranks)
      : processors(availableProcessors()), total(std::max(wanted > 0 ? wanted : processors, ranks)),
        ranks(ranks) {}

  int of(int rank) const {
    const RowShare share = shareOf(total, rank, ranks);
    return static_cast<int>(share.end - share.begin);
  }
  /// Where threads outnumber processors, one that spins takes the time of one that works.
  bool spin() const { return total <= processors; }

private:
  int processors;
  int total;
  int ranks;
};

class RankLoader {
public:
  RankLoader(const Artifact &artifact, const PlanExecutorOptions &options)
      : artifact(artifact), plan(*artifact.plan()), options(options),
        onDevice(isDevicePlan(*artifact.plan())),
        threads(options.threads, static_cast<int>(plan.ranks())),
        takesLong(onDevice || plan.random() != nullptr), loaded(std::make_unique<LoadedRanks>()) {}

  absl::StatusOr<std::unique_ptr<LoadedRanks>> load();

private:
  absl::Status loadAll();
  absl::Status chooseRanks();
  absl::Status joinProcesses(const RankIdentity &identity);
  absl::Status addDriver(const DriverOptions &driverOptions);
  absl::Status openTarget();
  absl::Status fitMemory();
  absl::Status loadRank(int rank);
  absl::StatusOr<MeshSeat> seatOf(int rank) const;
  absl::StatusOr<std::unique_ptr<Communicator>> communicatorOf(int rank, plan::Axis axis) const;
  RankParts partsOf(Driver &driver);
  void addLoaded(uint64_t bytes);

  const Artifact &artifact;
  const plan::Plan &plan;
  const PlanExecutorOptions &options;
  const bool onDevice;
  const Threads threads;
  RowShare here{0, 0}; ///< ranks of this process
  uint64_t weightBytesHere = 0;
  uint64_t weightBytesLoaded = 0;
  /// Whether weights are copied or made, rather than mapped.
  const bool takesLong;
  std::unique_ptr<LoadedRanks> loaded;
};

absl::StatusOr<std::unique_ptr<LoadedRanks>> RankLoader::load() {
  const absl::Status status = loadAll();
  if (status.ok())
    return std::move(loaded);
  if (loaded->processes)
    loaded->processes->abort(status);
  return status;
}

absl::Status RankLoader::loadAll() {
  loaded->info = modelInfo(artifact);
  loaded->deadline = options.deadline.count() != 0 ? options.deadline
                     : onDevice                    ? kProcessDeadline
                                                   : kThreadDeadline;
  EPIGRAPH_RETURN_IF_ERROR(chooseRanks());
  EPIGRAPH_RETURN_IF_ERROR(openTarget());
  EPIGRAPH_RETURN_IF_ERROR(fitMemory());
  loaded->check.emplace(loaded->info);
  const int tensor = static_cast<int>(plan.tensor());
  loaded->mesh = std::make_unique<LocalMesh>(loaded->info.ranks / tensor, tensor,
                                             LocalGroupOptions{loaded->deadline, threads.spin()});
  EPIGRAPH_ASSIGN_OR_RETURN(loaded->sharedWeights,
                            Weights::load(artifact, {}, *loaded->drivers.front(),
                                          [this](uint64_t bytes) { addLoaded(bytes); }));
  for (int64_t rank = here.begin; rank < here.end; ++rank)
    EPIGRAPH_RETURN_IF_ERROR(loadRank(static_cast<int>(rank)));
  if (loaded->processes) {
    EPIGRAPH_RETURN_IF_ERROR(loaded->processes->barrier("loading"));
    loaded->processes->setDeadline(loaded->deadline);
  }
  if (onDevice)
    return absl::OkStatus();
  EPIGRAPH_ASSIGN_OR_RETURN(
      loaded->threads, RankThreads::start(loaded->info.ranks, [ranks = &loaded->ranks](int rank) {
        (*ranks)[static_cast<size_t>(rank)]->runStep();
      }));
  return absl::OkStatus();
}

/// All ranks of a CPU are here; on a device, the one that this process is.
absl::Status RankLoader::chooseRanks() {
  const int ranks = loaded->info.ranks;
  here = {0, ranks};
  if (!onDevice)
    return plan.ranks() <= kMostRanks
               ? absl::OkStatus()
               : absl::UnimplementedError(absl::StrCat(
                     "the artifact has ", ranks, " ranks; one process runs up to ", kMostRanks));
  EPIGRAPH_ASSIGN_OR_RETURN(const RankIdentity identity, rankIdentity());
  EPIGRAPH_RETURN_IF_ERROR(checkWorld(identity, ranks));
  here = {identity.rank, identity.rank + 1};
  if (sendsExpertRows(plan))
    return withCode(ErrorCode::NoDriver,
                    absl::UnimplementedError(absl::StrCat(
                        "this runtime does not scatter rows of experts on target '",
                        artifact.manifest().target.name,
                        "'; compile the model again for one rank, or with --target cpu")));
  return ranks == 1 ? absl::OkStatus() : joinProcesses(identity);
}

/// Before anything is loaded: ranks that run different things refuse at once.
absl::Status RankLoader::joinProcesses(const RankIdentity &identity) {
  const absl::StatusOr<std::string> text = printManifest(artifact.manifest());
  EPIGRAPH_RETURN_IF_ERROR(text.status());
  ProcessGroupOptions group;
  group.rank = identity.rank;
  group.ranks = identity.size;
  group.job = jobOfThisProcess();
  // The manifest has the digests of all files.
  group.digest = sha256Hex(*text);
  group.deadline = kJoinDeadline;
  EPIGRAPH_ASSIGN_OR_RETURN(loaded->processes, ProcessGroup::join(group));
  loaded->processes->setDeadline(kLoadDeadline);
  if (loaded->info.lanes > 1)
    loaded->lanes = std::make_unique<LaneResults>(*loaded->processes, loaded->info);
  return absl::OkStatus();
}

absl::Status RankLoader::addDriver(const DriverOptions &driverOptions) {
  EPIGRAPH_ASSIGN_OR_RETURN(
      loaded->drivers.emplace_back(),
      options.openDriver(artifact.manifest().target.name, *loaded->pool, driverOptions));
  return absl::OkStatus();
}

absl::Status RankLoader::openTarget() {
  uint64_t cap = options.memoryPoolBytes;
  if (cap == 0)
    cap = onDevice ? INT64_MAX : MemoryPool::physicalBytes();
  loaded->pool = std::make_unique<MemoryPool>(cap);
  EPIGRAPH_RETURN_IF_ERROR(addDriver({}));
  const Driver &driver = *loaded->drivers.front();
  const std::string &target = artifact.manifest().target.name;
  if (driver.hostAddressable() == onDevice)
    return withCode(ErrorCode::MixedArtifact,
                    absl::FailedPreconditionError(absl::StrCat(
                        "the manifest says target '", target, "', and the plan's kernels are of ",
                        onDevice ? "a device" : "a CPU", "; compile the model again")));
  return driver.requireFeatures(artifact.manifest().target.features);
}

absl::Status RankLoader::fitMemory() {
  ModelInfo &info = loaded->info;
  const Plan &all = artifact.plan();
  const uint64_t arrays = onDevice ? DeviceStepMemory::bytesFor(deviceStepOptions(all, info))
                                   : HostStepMemory::bytesFor(stepLimits(all, info));
  EPIGRAPH_ASSIGN_OR_RETURN(loaded->need,
                            memoryNeed(plan, static_cast<uint64_t>(here.end - here.begin), arrays));
  weightBytesHere = loaded->need.weights;
  MemoryRoom room{loaded->pool->cap(), false};
  if (onDevice) {
    EPIGRAPH_ASSIGN_OR_RETURN(const uint64_t available, loaded->drivers.front()->availableBytes());
    if (available < room.bytes)
      room = {available, true};
  }
  EPIGRAPH_ASSIGN_OR_RETURN(info.pages, choosePages(loaded->need, room, options.pages));
  return absl::OkStatus();
}

absl::Status RankLoader::loadRank(int rank) {
  if (!onDevice)
    EPIGRAPH_RETURN_IF_ERROR(addDriver({threads.of(rank), threads.spin()}));
  EPIGRAPH_ASSIGN_OR_RETURN(MeshSeat seat, seatOf(rank));
  EPIGRAPH_ASSIGN_OR_RETURN(
      loaded->ranks.emplace_back(),
      RankState::create(artifact, loaded->info, partsOf(*loaded->drivers.back()), std::move(seat)));
  return absl::OkStatus();
}

absl::StatusOr<MeshSeat> RankLoader::seatOf(int rank) const {
  MeshSeat seat{rank, !loaded->info.dataParallelAttention, nullptr, nullptr};
  EPIGRAPH_ASSIGN_OR_RETURN(seat.expert, communicatorOf(rank, plan::Axis::Expert));
  EPIGRAPH_ASSIGN_OR_RETURN(seat.tensor, communicatorOf(rank, plan::Axis::Tensor));
  return seat;
}

absl::StatusOr<std::unique_ptr<Communicator>> RankLoader::communicatorOf(int rank,
                                                                         plan::Axis axis) const {
  const std::vector<int> members =
      membersAlong(axis, rank, loaded->info.ranks, static_cast<int>(plan.tensor()));
  if (loaded->processes && communicatesAlong(axis, plan))
    return openCommunicator(*loaded->drivers.back(), *loaded->processes, members, kJoinDeadline);
  // Among threads; among processes, one that only knows its place.
  LocalMesh &mesh = *loaded->mesh;
  const MeshAxis meshAxis = axis == plan::Axis::Tensor ? MeshAxis::Tensor : MeshAxis::Expert;
  return std::make_unique<LocalCommunicator>(mesh.group(meshAxis, rank),
                                             mesh.place(meshAxis, rank));
}

RankParts RankLoader::partsOf(Driver &driver) {
  RankParts parts{driver,  loaded->sharedWeights,   loaded->deadline,  nullptr,
                  nullptr, loaded->processes.get(), options.peerMemory};
  parts.loaded = [this](uint64_t bytes) { addLoaded(bytes); };
  parts.recorded = [this](size_t done, size_t all) {
    if (options.progress)
      options.progress({"recording steps", done, all, false});
  };
  return parts;
}

void RankLoader::addLoaded(uint64_t bytes) {
  weightBytesLoaded += bytes;
  if (takesLong && options.progress)
    options.progress({"loading weights", weightBytesLoaded, weightBytesHere, true});
}

} // namespace

absl::StatusOr<std::unique_ptr<LoadedRanks>> loadRanks(const Artifact &artifact,
                                                       const PlanExecutorOptions &options) {
  return RankLoader(artifact, options).load();
}

} // namespace epigraph
