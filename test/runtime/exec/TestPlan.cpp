#include "test/runtime/exec/TestPlan.h"

#include <algorithm>
#include <map>
#include <memory>

#include "runtime/artifact/KernelAbi.h"
#include "test/runtime/exec/TestModel.h"

namespace epigraph {
namespace {

using namespace plan;
using plan::DeviceGrid; // not that of drivers
using plan::DType;      // not that of stored tensors
using namespace testmodel;

Ref input(uint32_t index) { return {RefKind::Input, index}; }
Ref weight(uint32_t index) { return {RefKind::Weight, index}; }
Ref cache(uint32_t index) { return {RefKind::Cache, index}; }

/// Builds a plan function by function; kernels are numbered as they come.
class PlanDraft {
public:
  explicit PlanDraft(PlanT &plan) : result(plan) {}

  FunctionT &function(const char *name) {
    result.functions.push_back(std::make_unique<FunctionT>());
    result.functions.back()->name = name;
    return *result.functions.back();
  }

  void addInput(const char *name, DType dtype, uint32_t rowElements) {
    auto added = std::make_unique<InputT>();
    added->name = name;
    added->dtype = dtype;
    added->row_elements = rowElements;
    current().inputs.push_back(std::move(added));
  }

  /// A buffer with room for `capacity` rows, behind all others.
  Ref addBuffer(DType dtype, RowKind kind, uint64_t rowElements, uint64_t capacity) {
    auto added = std::make_unique<BufferT>();
    added->offset = result.arena_bytes;
    added->bytes = capacity * rowElements * elementBytes(dtype);
    added->dtype = dtype;
    added->rows = std::make_unique<Rows>(kind, 0, 1);
    added->row_elements = static_cast<uint32_t>(rowElements);
    result.arena_bytes += (added->bytes + 63) / 64 * 64;
    current().buffers.push_back(std::move(added));
    return {RefKind::Buffer, static_cast<uint32_t>(current().buffers.size() - 1)};
  }

  void addLaunch(const char *symbol, std::vector<Ref> args, RowKind rows, uint32_t rowTile = 0) {
    LaunchT launch;
    launch.kernel = kernelCalled(symbol);
    launch.args = std::move(args);
    launch.rows = std::make_unique<Rows>(rows, 0, 1);
    launch.row_tile = rowTile;
    launch.column_tiles = 1;
    addStep(std::move(launch), symbol);
  }

  void addCollective(CollectiveKind kind, Ref source, Ref to) {
    CollectiveT op;
    op.kind = kind;
    op.source = std::make_unique<Ref>(source);
    op.result = std::make_unique<Ref>(to);
    addStep(std::move(op), EnumNameCollectiveKind(kind));
  }

  void addScatter(Ref rows, Ref counts, Ref to, Ref toCounts) {
    ScatterExpertsT op;
    op.rows = std::make_unique<Ref>(rows);
    op.counts = std::make_unique<Ref>(counts);
    op.result = std::make_unique<Ref>(to);
    op.result_counts = std::make_unique<Ref>(toCounts);
    addStep(std::move(op), "mlp.dispatch");
  }

  void addGather(Ref rows, Ref counts, Ref to) {
    GatherExpertsT op;
    op.rows = std::make_unique<Ref>(rows);
    op.counts = std::make_unique<Ref>(counts);
    op.result = std::make_unique<Ref>(to);
    addStep(std::move(op), "mlp.combine");
  }

  /// Makes the last step, a collective, only start; returns its index.
  uint32_t startLast() {
    OpUnion &op = current().steps.back()->op;
    if (CollectiveT *collective = op.AsCollective())
      collective->starts = true;
    else if (ScatterExpertsT *scatter = op.AsScatterExperts())
      scatter->starts = true;
    else
      op.AsGatherExperts()->starts = true;
    return static_cast<uint32_t>(current().steps.size() - 1);
  }

  void addWait(uint32_t until) {
    WaitT op;
    op.until = until;
    addStep(op, "wait");
  }

  void addOutput(const char *name, Ref source) {
    auto added = std::make_unique<OutputT>();
    added->name = name;
    added->source = std::make_unique<Ref>(source);
    current().outputs.push_back(std::move(added));
  }

  void addWeight(const char *name, DType dtype, std::vector<uint64_t> shape, bool shared) {
    auto added = std::make_unique<WeightT>();
    added->name = name;
    added->dtype = dtype;
    added->shape = std::move(shape);
    added->shared = shared;
    result.weights.push_back(std::move(added));
  }

private:
  FunctionT &current() { return *result.functions.back(); }

  template <typename T> void addStep(T op, const char *location) {
    auto step = std::make_unique<StepT>();
    step->op.Set(std::move(op));
    step->location = location;
    current().steps.push_back(std::move(step));
  }

  uint32_t kernelCalled(const std::string &symbol) {
    const auto [known, isNew] = kernels.emplace(symbol, kernels.size());
    if (isNew) {
      result.kernels.push_back(std::make_unique<KernelT>());
      result.kernels.back()->symbol = symbol;
    }
    return static_cast<uint32_t>(known->second);
  }

  PlanT &result;
  std::map<std::string, size_t> kernels;
};

// Weights, by index.
constexpr uint32_t kTable = 0, kHead = 1, kScale = 2, kRank = 3;

void addMain(PlanDraft &builder, const TestArtifactOptions &options) {
  const bool replicated = !options.dataParallel;
  const uint64_t tokens = options.batchTokens;
  const uint64_t local = replicated ? (tokens + options.ranks - 1) / options.ranks : tokens;
  const uint64_t received = options.receivedRows ? options.receivedRows : local * options.ranks;

  builder.function("main");
  builder.addInput("ids", DType::I32, 1);
  const Ref x = builder.addBuffer(DType::F32, RowKind::Tokens, kHidden, tokens);
  const Ref mine = builder.addBuffer(DType::F32, RowKind::LocalTokens, kHidden, local);
  const Ref sorted = builder.addBuffer(DType::F32, RowKind::LocalTokens, kHidden, local);
  const Ref counts = builder.addBuffer(DType::I32, RowKind::Static, kExperts, 1);
  const Ref order = builder.addBuffer(DType::I32, RowKind::LocalTokens, 1, local);
  const Ref arrived = builder.addBuffer(DType::F32, RowKind::Received, kHidden, received);
  const Ref arrivedCounts = builder.addBuffer(DType::I32, RowKind::Static, kExperts, 1);
  const Ref computed = builder.addBuffer(DType::F32, RowKind::Received, kHidden, received + 3);
  const Ref back = builder.addBuffer(DType::F32, RowKind::LocalTokens, kHidden, local);
  const Ref yMine = builder.addBuffer(DType::F32, RowKind::LocalTokens, kHidden, local);
  const Ref y = builder.addBuffer(DType::F32, RowKind::Tokens, kHidden, tokens);
  const Ref z = builder.addBuffer(DType::F32, RowKind::Tokens, kHidden, tokens);
  const Ref logits = builder.addBuffer(DType::F32, RowKind::Outputs, kVocab, options.sequences);

  builder.addLaunch("test_embed", {input(0), weight(kTable), x}, RowKind::Tokens, kRowTile);
  const auto addTrouble = [&] {
    builder.addLaunch("test_trouble", {input(0), weight(kRank)}, RowKind::Static);
  };
  if (!options.underWay)
    addTrouble();
  const Ref routed = replicated ? mine : x;
  if (replicated)
    builder.addCollective(CollectiveKind::ShardRows, x, mine);
  builder.addLaunch("test_route", {routed, sorted, counts, order}, RowKind::LocalTokens);
  builder.addScatter(sorted, counts, arrived, arrivedCounts);
  if (options.underWay) {
    const uint32_t scatter = builder.startLast();
    addTrouble();
    builder.addWait(scatter);
  }
  builder.addLaunch("test_experts", {arrived, arrivedCounts, weight(kScale), computed},
                    RowKind::Received);
  builder.addGather(computed, counts, back);
  if (options.underWay)
    builder.addWait(builder.startLast());
  const Ref unsorted = replicated ? yMine : y;
  builder.addLaunch("test_unsort", {back, order, unsorted}, RowKind::LocalTokens);
  if (replicated)
    builder.addCollective(CollectiveKind::AllGatherRows, yMine, y);
  if (replicated && options.underWay)
    builder.addWait(builder.startLast());
  builder.addLaunch("test_attend", {y, cache(0), z}, RowKind::Tokens);
  builder.addLaunch("test_head", {z, weight(kHead), logits}, RowKind::Outputs);
  builder.addOutput("logits", logits);
  builder.addOutput("hidden", z);
}

/// The same without an exchange: one rank has all experts.
void addMainOfDevice(PlanDraft &builder, const TestArtifactOptions &options) {
  const uint64_t tokens = options.batchTokens;
  builder.function("main");
  builder.addInput("ids", DType::I32, 1);
  const Ref x = builder.addBuffer(DType::F32, RowKind::Tokens, kHidden, tokens);
  const Ref sorted = builder.addBuffer(DType::F32, RowKind::Tokens, kHidden, tokens);
  const Ref counts = builder.addBuffer(DType::I32, RowKind::Static, kExperts, 1);
  const Ref order = builder.addBuffer(DType::I32, RowKind::LocalTokens, 1, tokens);
  const Ref computed = builder.addBuffer(DType::F32, RowKind::Tokens, kHidden, tokens);
  const Ref y = builder.addBuffer(DType::F32, RowKind::LocalTokens, kHidden, tokens);
  const Ref z = builder.addBuffer(DType::F32, RowKind::Tokens, kHidden, tokens);
  const Ref logits = builder.addBuffer(DType::F32, RowKind::Outputs, kVocab, options.sequences);
  builder.addLaunch("test_embed", {input(0), weight(kTable), x}, RowKind::Tokens);
  builder.addLaunch("test_route", {x, sorted, counts, order}, RowKind::LocalTokens);
  builder.addLaunch("test_experts", {sorted, counts, weight(kScale), computed}, RowKind::Tokens);
  builder.addLaunch("test_unsort", {computed, order, y}, RowKind::LocalTokens);
  builder.addLaunch("test_attend", {y, cache(0), z}, RowKind::Tokens);
  builder.addLaunch("test_head", {z, weight(kHead), logits}, RowKind::Outputs);
  builder.addOutput("logits", logits);
  if (options.givesChosen) {
    const Ref best = builder.addBuffer(DType::I32, RowKind::Outputs, 1, options.sequences);
    builder.addLaunch("test_best", {logits, best}, RowKind::Outputs);
    builder.addOutput("chosen", best);
  }
  builder.addOutput("hidden", z);
}

std::unique_ptr<VariantT> variantOf(const std::string &symbol, DeviceGrid grid) {
  auto variant = std::make_unique<VariantT>();
  variant->launches.push_back(std::make_unique<DeviceLaunchT>());
  variant->launches[0]->symbol = symbol;
  variant->launches[0]->threads = 32;
  variant->launches[0]->grid = grid;
  return variant;
}

/// Attention has a variant for decoding and one for the rest; other kernels have one.
void addVariants(PlanT &plan) {
  plan.token_items = 6;
  plan.workspace_bytes = 256;
  for (std::unique_ptr<KernelT> &kernel : plan.kernels) {
    const bool attends = kernel->symbol == "test_attend";
    if (attends) {
      kernel->variants.push_back(variantOf(kernel->symbol, DeviceGrid::TokenItems));
      kernel->variants[0]->one_token_each = true;
    }
    kernel->variants.push_back(
        variantOf(kernel->symbol, attends ? DeviceGrid::TileItems : DeviceGrid::Rows));
  }
}

void addMtp(PlanDraft &builder, const TestArtifactOptions &options) {
  builder.function("mtp");
  builder.addInput("ids", DType::I32, 1);
  builder.addInput("hidden", DType::BF16, kHidden);
  const Ref logits = builder.addBuffer(DType::BF16, RowKind::Outputs, kVocab, options.sequences);
  builder.addLaunch("test_mtp", {input(0), input(1), weight(kTable), logits}, RowKind::Outputs);
  builder.addOutput("logits", logits);
}

} // namespace

plan::PlanT testPlan(const TestArtifactOptions &options) {
  PlanT plan;
  plan.version = kPlanVersion;
  plan.ranks = options.ranks;
  plan.attention = options.dataParallel ? Attention::Data : Attention::Replicated;
  plan.limits = std::make_unique<LimitsT>();
  plan.limits->batch_tokens = options.batchTokens;
  plan.limits->sequences = options.sequences;
  plan.limits->context = options.context;
  plan.limits->page_tokens = kPageTokens;
  plan.caches.push_back(std::make_unique<CacheT>());
  plan.caches[0]->name = "layers.0";
  plan.caches[0]->dtype = plan::DType::F32;
  plan.caches[0]->entry_elements = kHidden;
  plan.placements.push_back(std::make_unique<PlacementT>());
  for (int32_t expert = 0; expert < kExperts; ++expert)
    plan.placements[0]->owner.push_back(
        static_cast<uint16_t>(expert * static_cast<int32_t>(options.ranks) / kExperts));

  PlanDraft builder(plan);
  builder.addWeight("table", plan::DType::F32, {kVocab, kHidden}, true);
  builder.addWeight("head", plan::DType::F32, {kVocab, kHidden}, true);
  builder.addWeight("scale", plan::DType::F32, {kExperts / options.ranks}, false);
  builder.addWeight("rank", plan::DType::I32, {1}, false);
  options.onDevice ? addMainOfDevice(builder, options) : addMain(builder, options);
  addMtp(builder, options);
  if (options.onDevice)
    addVariants(plan);
  if (options.changePlan)
    options.changePlan(plan);
  return plan;
}

} // namespace epigraph
