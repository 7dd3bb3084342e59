#include "runtime/exec/RankState.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/artifact/DeviceRows.h"
#include "runtime/base/Status.h"
#include "runtime/exec/HostStepMemory.h"
#include "runtime/exec/WatchProcesses.h"

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

/// Longest wait of a kernel for another rank, of the longest wait of its process: a kernel knows
/// who is late.
constexpr double kPeerPatience = 0.625;

/// The buffers that functions give as "logits".
std::vector<const plan::Buffer *> logitBuffers(const plan::Plan &plan) {
  std::vector<const plan::Buffer *> buffers;
  for (const plan::Function *function : *plan.functions())
    for (const plan::Output *output : *function->outputs())
      if (output->name()->string_view() == "logits")
        buffers.push_back(function->buffers()->Get(output->source()->index()));
  return buffers;
}

} // namespace

StepLimits stepLimits(const Plan &plan, const ModelInfo &info) {
  StepLimits limits;
  limits.tokens = static_cast<uint64_t>(info.maxBatchTokens);
  limits.sequences = static_cast<uint64_t>(info.maxSequences);
  limits.pagesOfSequence = static_cast<uint64_t>((info.maxContext + kPageTokens - 1) / kPageTokens);
  limits.hidden = info.hasMtp ? static_cast<uint64_t>(info.hidden) : 0;
  for (const plan::Buffer *buffer : logitBuffers(*plan))
    if (buffer->dtype() != plan::DType::F32)
      limits.convertedLogits = static_cast<uint64_t>(info.vocab);
  return limits;
}

DeviceStepMemory::Options deviceStepOptions(const Plan &plan, const ModelInfo &info) {
  DeviceStepMemory::Options options;
  options.limits = stepLimits(plan, info);
  options.items = itemNeeds(*plan);
  for (const plan::Buffer *buffer : logitBuffers(*plan))
    options.logitBytes =
        std::max(options.logitBytes, buffer->row_elements() * elementBytes(buffer->dtype()));
  return options;
}

RankState::RankState(const RankParts &parts, MeshSeat seat)
    : driver(parts.driver), deadline(parts.deadline), processes(parts.processes),
      peerMemory(parts.peerMemory), seat(std::move(seat)), rankRunner(driver, this->seat) {}

absl::StatusOr<std::unique_ptr<RankState>> RankState::create(const Artifact &artifact,
                                                             const ModelInfo &info,
                                                             const RankParts &parts,
                                                             MeshSeat seat) {
  std::unique_ptr<RankState> state(new RankState(parts, std::move(seat)));
  const Plan &plan = artifact.plan();
  EPIGRAPH_ASSIGN_OR_RETURN(const std::filesystem::path library,
                            artifact.file(isDevicePlan(*plan) ? kDeviceKernelsFile : kKernelsFile));
  EPIGRAPH_ASSIGN_OR_RETURN(
      state->kernels,
      state->driver.loadKernels(std::filesystem::absolute(library), kernelsOf(*plan)));
  const Weights::Which own{static_cast<uint32_t>(state->rank())};
  EPIGRAPH_ASSIGN_OR_RETURN(state->weights,
                            Weights::load(artifact, own, state->driver, parts.loaded));
  EPIGRAPH_RETURN_IF_ERROR(state->allocate(artifact, info));
  const DeviceStepMemory *steps = nullptr;
  if (state->driver.hostAddressable()) {
    EPIGRAPH_ASSIGN_OR_RETURN(
        state->memory,
        HostStepMemory::create(state->driver, stepLimits(plan, info), state->rank()));
  } else {
    EPIGRAPH_ASSIGN_OR_RETURN(
        std::unique_ptr<DeviceStepMemory> memory,
        DeviceStepMemory::create(state->driver, deviceStepOptions(plan, info), state->seat));
    EPIGRAPH_RETURN_IF_ERROR(state->reachPeers(*plan, *memory));
    steps = memory.get();
    state->memory = std::move(memory);
  }
  EPIGRAPH_RETURN_IF_ERROR(state->resolve(plan, info, parts.sharedWeights));
  if (steps && state->driver.records())
    EPIGRAPH_RETURN_IF_ERROR(state->record(info, *steps, parts.recorded));
  return state;
}

absl::Status RankState::allocate(const Artifact &artifact, const ModelInfo &info) {
  const plan::Plan &plan = *artifact.plan();
  const std::string ofRank = absl::StrCat(" of rank ", rank());
  EPIGRAPH_ASSIGN_OR_RETURN(arena, driver.allocate(plan.arena_bytes(), "activations" + ofRank));
  EPIGRAPH_ASSIGN_OR_RETURN(workspace,
                            driver.allocate(plan.workspace_bytes(), "workspace" + ofRank));
  const uint64_t tokens = static_cast<uint64_t>(info.pages) * kPageTokens;
  for (const plan::Cache *cache : *plan.caches()) {
    const uint64_t bytes = tokens * cache->entry_elements() * elementBytes(cache->dtype());
    EPIGRAPH_ASSIGN_OR_RETURN(
        caches.emplace_back(),
        driver.allocate(bytes,
                        absl::StrCat("cache ", abslView(cache->name()->string_view()), ofRank)));
  }
  return absl::OkStatus();
}

/// Lets kernels reach the other ranks, if any of them exchanges rows.
absl::Status RankState::reachPeers(const plan::Plan &plan, DeviceStepMemory &steps) {
  if (!processes || plan.region_bytes() == 0)
    return absl::OkStatus();
  EPIGRAPH_ASSIGN_OR_RETURN(
      peers, PeerRegions::create(driver, *processes, plan.region_bytes(),
                                 std::chrono::milliseconds(static_cast<int64_t>(
                                     kPeerPatience * static_cast<double>(deadline.count()))),
                                 peerMemory));
  steps.usePeers(peers->table());
  return absl::OkStatus();
}

absl::Status RankState::resolve(const Plan &plan, const ModelInfo &info,
                                const Weights &sharedWeights) {
  RankAddresses addresses;
  addresses.arena = arena->address();
  addresses.ids = memory->ids();
  addresses.hidden = memory->hidden();
  for (uint32_t i = 0; i < plan->weights()->size(); ++i)
    addresses.weights.push_back(plan->weights()->Get(i)->shared() ? sharedWeights.address(i)
                                                                  : weights.address(i));
  for (const std::unique_ptr<DeviceMemory> &cache : caches)
    addresses.caches.push_back(cache->address());
  addresses.cacheSlots = static_cast<uint64_t>(info.pages) * kPageTokens;

  for (const plan::Function *function : *plan->functions()) {
    EPIGRAPH_ASSIGN_OR_RETURN(RankProgram resolved,
                              resolveFunction(*plan, *function, addresses,
                                              static_cast<uint32_t>(info.vocab),
                                              static_cast<uint32_t>(info.hidden)));
    const auto added = programs.emplace(function->name()->str(), std::move(resolved)).first;
    EPIGRAPH_RETURN_IF_ERROR(prepare(added->second));
  }
  return absl::OkStatus();
}

/// Makes every launch of `program` ready. The program must not move any more.
absl::Status RankState::prepare(RankProgram &program) {
  const auto part = [](const auto &all, const LaunchAction &launch) {
    return absl::MakeConstSpan(all).subspan(launch.firstArgument, launch.argumentCount);
  };
  for (Action &action : program.actions) {
    auto *launch = std::get_if<LaunchAction>(&action.what);
    if (!launch)
      continue;
    LaunchBinding binding;
    binding.kernel = launch->kernel;
    binding.arguments = part(program.arguments, *launch);
    if (!program.argumentRows.empty())
      binding.argumentRows = part(program.argumentRows, *launch);
    binding.rowTile = launch->rowTile;
    binding.columnTiles = launch->columnTiles;
    binding.step = memory->step();
    const RowCount &rows = launch->rows;
    binding.count = rows.kind == plan::RowKind::Received && !program.receivedCounts.empty()
                        ? program.receivedCounts[rows.id]
                        : memory->counter(rows);
    binding.factor = static_cast<int32_t>(launch->rows.factor);
    binding.capacity = static_cast<int32_t>(launch->capacity);
    binding.workspace = workspace->address();
    absl::StatusOr<std::unique_ptr<PreparedLaunch>> prepared = driver.prepare(*kernels, binding);
    if (!prepared.ok())
      return withContext(prepared.status(), action.where);
    launch->prepared = *std::move(prepared);
  }
  return absl::OkStatus();
}

/// Records steps of the function that generates, for as many tokens as it can have: one of each
/// sequence.
absl::Status RankState::record(const ModelInfo &info, const DeviceStepMemory &steps,
                               const std::function<void(size_t, size_t)> &recorded) {
  decoding = &program(info.hasDecode ? "decode" : "main");
  // The host moves shares of the tokens, and they start elsewhere in a step of another size.
  takesShares = info.ranks > 1 && !info.dataParallelAttention;
  std::vector<StepExtent> extents;
  for (const int64_t tokens : recordedSizes(std::min(info.maxBatchTokens, info.maxSequences)))
    extents.push_back(steps.extentOfDecode(tokens));
  return recordings.record(
      driver, extents,
      [this](const StepExtent &extent) { return rankRunner.run(*decoding, extent); },
      [&](size_t done) {
        if (recorded)
          recorded(done, extents.size());
      });
}

void RankState::load(std::string_view function, const StepBatch &batch, int64_t tokens,
                     bool wantHidden) {
  current = &program(function);
  laneTokens = tokens;
  wantsHidden = wantHidden;
  memory->load(batch, *current);
}

void RankState::runStep() {
  const Clock::time_point start = Clock::now();
  lastTime = StepTime();
  lastStatus = runLoaded();
  if (lastStatus.ok())
    memory->finish(*current);
  if (!driver.hostAddressable())
    lastTime.total = Clock::now() - start;
}

absl::Status RankState::runProgram() {
  StepExtent extent = memory->extent();
  extent.laneTokens = laneTokens;
  if (isProfiled) {
    if (!profiler)
      profiler.emplace(driver, rankRunner, *current, extent);
    EPIGRAPH_RETURN_IF_ERROR(profiler->run());
    return profiler->collect();
  }
  const RecordedWork *recorded =
      current == decoding ? recordings.find(extent, takesShares) : nullptr;
  return recorded ? driver.replay(*recorded) : rankRunner.run(*current, extent);
}

std::vector<std::chrono::nanoseconds> RankState::endProfile() {
  isProfiled = false;
  std::vector<std::chrono::nanoseconds> times;
  if (profiler)
    times = profiler->medians();
  profiler.reset();
  return times;
}

absl::Status RankState::runLoaded() {
  EPIGRAPH_RETURN_IF_ERROR(memory->send());
  EPIGRAPH_RETURN_IF_ERROR(runProgram());
  EPIGRAPH_RETURN_IF_ERROR(memory->fetch(*current, wantsHidden));
  if (driver.hostAddressable()) {
    lastTime = rankRunner.time();
    return absl::OkStatus();
  }
  // What the device does is seen from here only as the time that it is waited for.
  const Clock::time_point asked = Clock::now();
  const absl::Status status = withContext(waitForDevice(), absl::StrCat("rank ", rank()));
  lastTime.kernels = Clock::now() - asked;
  return status;
}

absl::Status RankState::waitForDevice() {
  if (!processes)
    return driver.synchronize(deadline);
  absl::Status status = synchronizeWatching(driver, *processes, deadline);
  if (status.ok() && peers)
    status = peers->check();
  if (!status.ok()) {
    seat.expert->abort(status);
    seat.tensor->abort(status);
  }
  return status;
}

} // namespace epigraph
