#include "runtime/exec/RankState.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/base/BFloat16.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// Copies numbers of an output into float32.
void convert(const RowArray &array, size_t count, float *result) {
  if (array.dtype == plan::DType::BF16)
    std::transform(reinterpret_cast<const uint16_t *>(array.address),
                   reinterpret_cast<const uint16_t *>(array.address) + count, result,
                   floatOfBFloat16);
  else
    std::copy_n(reinterpret_cast<const float *>(array.address), count, result);
}

/// Whether some function's logits are not float32.
bool convertsLogits(const plan::Plan &plan) {
  for (const plan::Function *function : *plan.functions())
    for (const plan::Output *output : *function->outputs())
      if (output->name()->string_view() == "logits" &&
          function->buffers()->Get(output->source()->index())->dtype() != plan::DType::F32)
        return true;
  return false;
}

} // namespace

StepArrayLimits stepArrayLimits(const Plan &plan, const ModelInfo &info) {
  StepArrayLimits limits;
  limits.tokens = static_cast<uint64_t>(info.maxBatchTokens);
  limits.sequences = static_cast<uint64_t>(info.maxSequences);
  limits.pagesOfSequence = static_cast<uint64_t>((info.maxContext + kPageTokens - 1) / kPageTokens);
  limits.hidden = info.hasMtp ? static_cast<uint64_t>(info.hidden) : 0;
  limits.convertedLogits = convertsLogits(*plan) ? static_cast<uint64_t>(info.vocab) : 0;
  return limits;
}

RankState::RankState(std::unique_ptr<Driver> driver, LocalMesh &mesh, int rank)
    : driver(std::move(driver)),
      alongExpert(mesh.group(MeshAxis::Expert, rank), mesh.place(MeshAxis::Expert, rank)),
      alongTensor(mesh.group(MeshAxis::Tensor, rank), mesh.place(MeshAxis::Tensor, rank)),
      seat{rank, alongExpert, alongTensor} {}

absl::StatusOr<std::unique_ptr<RankState>>
RankState::create(const Artifact &artifact, const ModelInfo &info, std::unique_ptr<Driver> driver,
                  const Weights &sharedWeights, LocalMesh &mesh, int rank) {
  std::unique_ptr<RankState> state(new RankState(std::move(driver), mesh, rank));
  const Plan &plan = artifact.plan();
  std::vector<DeviceKernel> kernels;
  for (const plan::Kernel *kernel : *plan->kernels())
    kernels.push_back({kernel->symbol()->str(), {}});
  EPIGRAPH_ASSIGN_OR_RETURN(const std::filesystem::path library, artifact.file(kKernelsFile));
  EPIGRAPH_ASSIGN_OR_RETURN(
      state->kernels, state->driver->loadKernels(std::filesystem::absolute(library), kernels));
  EPIGRAPH_ASSIGN_OR_RETURN(state->weights,
                            Weights::load(artifact, {static_cast<uint32_t>(rank)}, *state->driver));
  EPIGRAPH_RETURN_IF_ERROR(state->allocate(*plan, info));
  EPIGRAPH_ASSIGN_OR_RETURN(state->arrays,
                            StepArrays::create(*state->driver, stepArrayLimits(plan, info), rank));
  EPIGRAPH_RETURN_IF_ERROR(state->resolve(plan, info, sharedWeights));
  return state;
}

absl::Status RankState::allocate(const plan::Plan &plan, const ModelInfo &info) {
  const int rank = seat.rank;
  EPIGRAPH_ASSIGN_OR_RETURN(
      arena, driver->allocate(plan.arena_bytes(), absl::StrCat("activations of rank ", rank)));
  const uint64_t tokens = static_cast<uint64_t>(info.pages) * kPageTokens;
  for (const plan::Cache *cache : *plan.caches()) {
    const uint64_t bytes = tokens * cache->entry_elements() * elementBytes(cache->dtype());
    EPIGRAPH_ASSIGN_OR_RETURN(
        caches.emplace_back(),
        driver->allocate(bytes, absl::StrCat("cache ", abslView(cache->name()->string_view()),
                                             " of rank ", rank)));
  }
  return absl::OkStatus();
}

absl::Status RankState::resolve(const Plan &plan, const ModelInfo &info,
                                const Weights &sharedWeights) {
  RankAddresses addresses;
  addresses.arena = arena->address();
  addresses.ids = arrays->ids();
  addresses.hidden = arrays->hidden();
  for (uint32_t i = 0; i < plan->weights()->size(); ++i)
    addresses.weights.push_back(plan->weights()->Get(i)->shared() ? sharedWeights.address(i)
                                                                  : weights.address(i));
  for (const std::unique_ptr<DeviceMemory> &cache : caches)
    addresses.caches.push_back(cache->address());

  size_t exchanges = 0;
  for (const plan::Function *function : *plan->functions()) {
    EPIGRAPH_ASSIGN_OR_RETURN(RankProgram resolved,
                              resolveFunction(*plan, *function, addresses,
                                              static_cast<uint32_t>(info.vocab),
                                              static_cast<uint32_t>(info.hidden)));
    EPIGRAPH_RETURN_IF_ERROR(prepare(resolved));
    exchanges = std::max(exchanges, resolved.exchanges);
    programs.emplace(function->name()->str(), std::move(resolved));
  }
  rankRunner.emplace(*driver, seat, !info.dataParallelAttention, exchanges);
  return absl::OkStatus();
}

/// Makes every launch of `program` ready.
absl::Status RankState::prepare(RankProgram &program) {
  for (Action &action : program.actions) {
    auto *launch = std::get_if<LaunchAction>(&action.what);
    if (!launch)
      continue;
    LaunchBinding binding;
    binding.kernel = launch->kernel;
    binding.arguments = absl::MakeConstSpan(program.arguments).subspan(launch->firstArgument);
    binding.rowTile = launch->rowTile;
    binding.columnTiles = launch->columnTiles;
    binding.step = &arrays->step();
    EPIGRAPH_ASSIGN_OR_RETURN(launch->prepared, driver->prepare(*kernels, binding));
  }
  return absl::OkStatus();
}

void RankState::load(std::string_view function, const StepBatch &batch) {
  current = &program(function);
  arrays->load(batch, current->hiddenInputType);
}

void RankState::runStep() {
  lastStatus = rankRunner->run(*current, arrays->step());
  if (!lastStatus.ok() || current->logits.dtype == plan::DType::F32)
    return;
  const size_t count = static_cast<size_t>(arrays->step().outputs) *
                       (current->logits.rowBytes / elementBytes(current->logits.dtype));
  convert(current->logits, count, arrays->convertedLogits());
}

StepResult RankState::result(bool wantHidden) const {
  const KernelStep &step = arrays->step();
  const RowArray &logits = current->logits;
  const size_t vocab = logits.rowBytes / elementBytes(logits.dtype);
  StepResult result;
  result.logits = {logits.dtype == plan::DType::F32
                       ? reinterpret_cast<const float *>(logits.address)
                       : arrays->convertedLogits(),
                   static_cast<size_t>(step.outputs) * vocab};
  if (wantHidden) {
    const RowArray &hidden = current->hidden;
    const size_t count =
        static_cast<size_t>(step.tokens) * (hidden.rowBytes / elementBytes(hidden.dtype));
    result.hidden.resize(count);
    convert(hidden, count, result.hidden.data());
  }
  return result;
}

} // namespace epigraph
