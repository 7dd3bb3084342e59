#include "test/runtime/artifact/SamplePlan.h"

namespace epigraph {

using namespace plan;

namespace {

Ref inputRef(uint32_t index) { return Ref(RefKind::Input, index); }
Ref bufferRef(uint32_t index) { return Ref(RefKind::Buffer, index); }

void addBuffer(FunctionT &function, DType dtype, RowKind kind, uint32_t factor,
               uint32_t rowElements, uint64_t bytes) {
  auto buffer = std::make_unique<BufferT>();
  uint64_t end = 0;
  if (!function.buffers.empty())
    end = function.buffers.back()->offset + function.buffers.back()->bytes;
  buffer->offset = (end + 63) / 64 * 64;
  buffer->bytes = bytes;
  buffer->dtype = dtype;
  buffer->rows = std::make_unique<Rows>(kind, /*id=*/0, factor);
  buffer->row_elements = rowElements;
  function.buffers.push_back(std::move(buffer));
}

template <typename T> void addStep(FunctionT &function, T op, const char *location) {
  auto step = std::make_unique<StepT>();
  step->op.Set(std::move(op));
  step->location = location;
  function.steps.push_back(std::move(step));
}

LaunchT launch(std::vector<Ref> args, RowKind kind, uint32_t rowTile, uint32_t columnTiles) {
  LaunchT result;
  result.args = std::move(args);
  result.rows = std::make_unique<Rows>(kind, /*id=*/0, /*factor=*/1);
  result.row_tile = rowTile;
  result.column_tiles = columnTiles;
  return result;
}

CollectiveT collective(CollectiveKind kind, Ref source, Ref result) {
  CollectiveT op;
  op.kind = kind;
  op.source = std::make_unique<Ref>(source);
  op.result = std::make_unique<Ref>(result);
  return op;
}

/// Buffers: 0 and 6 whole batch, 1, 4 and 5 this rank's share, 2 counts of 4 experts, 3 received
/// rows, 7 counts of 2 local experts, 8 outputs.
void addBuffers(FunctionT &main) {
  constexpr uint32_t kWidth = 16;
  addBuffer(main, DType::F32, RowKind::Tokens, 1, kWidth, 7 * kWidth * 4);
  addBuffer(main, DType::F32, RowKind::LocalTokens, 1, kWidth, 4 * kWidth * 4);
  addBuffer(main, DType::I32, RowKind::Static, 1, 4, 16);
  addBuffer(main, DType::F32, RowKind::Received, 1, kWidth, 8 * kWidth * 4);
  addBuffer(main, DType::F32, RowKind::LocalTokens, 2, kWidth, 2 * 4 * kWidth * 4);
  addBuffer(main, DType::F32, RowKind::LocalTokens, 1, kWidth, 4 * kWidth * 4);
  addBuffer(main, DType::F32, RowKind::Tokens, 1, kWidth, 7 * kWidth * 4);
  addBuffer(main, DType::I32, RowKind::Static, 1, 2, 8);
  addBuffer(main, DType::BF16, RowKind::Outputs, 1, 32, 3 * 32 * 2);
}

void addSteps(FunctionT &main) {
  addStep(main,
          launch({inputRef(0), Ref(RefKind::Weight, 0), Ref(RefKind::Cache, 0), bufferRef(0)},
                 RowKind::Tokens, 4, 2),
          "model.embed_tokens");
  addStep(main, collective(CollectiveKind::ShardRows, bufferRef(0), bufferRef(1)), "mlp");
  ScatterExpertsT scatter;
  scatter.rows = std::make_unique<Ref>(bufferRef(1));
  scatter.counts = std::make_unique<Ref>(bufferRef(2));
  scatter.result = std::make_unique<Ref>(bufferRef(3));
  scatter.result_counts = std::make_unique<Ref>(bufferRef(7));
  addStep(main, std::move(scatter), "mlp");
  addStep(main, launch({bufferRef(3), bufferRef(3)}, RowKind::Received, 0, 1), "mlp.experts");
  GatherExpertsT gather;
  gather.rows = std::make_unique<Ref>(bufferRef(3));
  gather.counts = std::make_unique<Ref>(bufferRef(2));
  gather.result = std::make_unique<Ref>(bufferRef(4));
  addStep(main, std::move(gather), "mlp");
  addStep(main, collective(CollectiveKind::AllGatherRows, bufferRef(5), bufferRef(6)), "mlp");
  addStep(main, collective(CollectiveKind::AllReduce, bufferRef(6), bufferRef(0)), "mlp");
}

} // namespace

PlanT samplePlan() {
  PlanT plan;
  plan.version = 1;
  plan.ranks = 2;
  plan.attention = Attention::Replicated;
  plan.limits = std::make_unique<LimitsT>();
  plan.limits->batch_tokens = 7;
  plan.limits->sequences = 3;
  plan.limits->context = 128;
  plan.limits->page_tokens = 64;
  plan.arena_bytes = 4096;

  plan.kernels.push_back(std::make_unique<KernelT>());
  plan.kernels[0]->symbol = "cpu_bf16_linear_0";
  plan.weights.push_back(std::make_unique<WeightT>());
  plan.weights[0]->name = "model.embed_tokens.weight";
  plan.weights[0]->dtype = DType::BF16;
  plan.weights[0]->shape = {32, 16};
  plan.weights[0]->shared = true;
  plan.caches.push_back(std::make_unique<CacheT>());
  plan.caches[0]->name = "model.layers.0";
  plan.caches[0]->entry_elements = 8;
  plan.placements.push_back(std::make_unique<PlacementT>());
  plan.placements[0]->owner = {0, 0, 1, 1};

  auto main = std::make_unique<FunctionT>();
  main->name = "main";
  main->inputs.push_back(std::make_unique<InputT>());
  main->inputs[0]->name = "ids";
  main->inputs[0]->dtype = DType::I32;
  main->inputs[0]->row_elements = 1;
  addBuffers(*main);
  addSteps(*main);
  main->outputs.push_back(std::make_unique<OutputT>());
  main->outputs[0]->name = "logits";
  main->outputs[0]->source = std::make_unique<Ref>(bufferRef(8));
  plan.functions.push_back(std::move(main));
  return plan;
}

namespace {

std::unique_ptr<DeviceLaunchT> deviceLaunch(const char *symbol, uint32_t threads) {
  auto launch = std::make_unique<DeviceLaunchT>();
  launch->symbol = symbol;
  launch->threads = threads;
  return launch;
}

/// Rows of argument 0, whose number depends on the step.
std::unique_ptr<TensorMapT> rowsMap() {
  auto map = std::make_unique<TensorMapT>();
  map->element = DType::F32;
  map->sizes = {4, 0};
  map->strides = {16};
  map->box = {4, 64};
  return map;
}

std::unique_ptr<VariantT> skinnyVariant() {
  auto variant = std::make_unique<VariantT>();
  variant->most_rows = 4;
  variant->one_token_each = true;
  variant->launches.push_back(deviceLaunch("linear_0_skinny", 128));
  variant->launches[0]->row_tile = 1;
  variant->launches[0]->column_tiles = 3;
  variant->launches[0]->early = true;
  return variant;
}

std::unique_ptr<VariantT> wideVariant() {
  auto variant = std::make_unique<VariantT>();
  variant->launches.push_back(deviceLaunch("linear_0_parts", 384));
  DeviceLaunchT &parts = *variant->launches[0];
  parts.shared_bytes = 65536;
  parts.cluster = 2;
  parts.grid = DeviceGrid::TokenItems;
  parts.column_tiles = 2;
  variant->launches.push_back(deviceLaunch("linear_0_merge", 32));
  variant->launches[1]->row_tile = 16;
  variant->launches[1]->blocks_per_core = 2;
  variant->launches[1]->maps.push_back(rowsMap());
  return variant;
}

} // namespace

PlanT sampleDevicePlan() {
  PlanT plan = samplePlan();
  plan.workspace_bytes = 1 << 20;
  plan.token_items = 66;
  plan.region_bytes = 4096;
  plan.kernels[0]->variants.push_back(skinnyVariant());
  plan.kernels[0]->variants.push_back(wideVariant());
  FunctionT &main = *plan.functions[0];
  // The launches of the sample begin with an input, which has one number for each token, and with
  // received rows.
  main.inputs[0]->row_elements = 4;
  uint64_t end = 0;
  for (std::unique_ptr<BufferT> &buffer : main.buffers) {
    buffer->offset = end;
    if (buffer->rows->kind() == RowKind::Tokens || buffer->rows->kind() == RowKind::Outputs)
      buffer->bytes = 8 * 64; // 7 tokens, and 3 outputs, to a multiple of 4
    end += (buffer->bytes + 63) / 64 * 64;
  }
  return plan;
}

std::vector<uint8_t> packPlan(const PlanT &plan) {
  flatbuffers::FlatBufferBuilder builder;
  FinishPlanBuffer(builder, Plan::Pack(builder, &plan));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

} // namespace epigraph
