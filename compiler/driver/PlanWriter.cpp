// The tables of the plan (weights, kernels, caches, placements) fill as functions are walked; each
// value of a function becomes a Ref: an input, a buffer, a weight, or a cache.
#include "compiler/driver/PlanWriter.h"

#include <algorithm>
#include <map>

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include "codegen/cpu/KernelLibrary.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/driver/WeightLayout.h"
#include "passes/schedule/RowExtents.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/artifact/Plan.h"

using namespace mlir;

namespace epigraph {
namespace {

plan::DType planDType(DType dtype) {
  switch (dtype) {
  case DType::BF16:
    return plan::DType::BF16;
  case DType::I32:
    return plan::DType::I32;
  default:
    return plan::DType::F32;
  }
}

plan::DType planDType(Type elementType) { return planDType(dtypeOf(elementType)); }

plan::Rows planRows(RowExtent extent) {
  plan::RowKind kind = plan::RowKind::Static;
  switch (extent.kind) {
  case RowExtent::Kind::Static:
    break;
  case RowExtent::Kind::Tokens:
    kind = plan::RowKind::Tokens;
    break;
  case RowExtent::Kind::Outputs:
    kind = plan::RowKind::Outputs;
    break;
  case RowExtent::Kind::LocalTokens:
    kind = plan::RowKind::LocalTokens;
    break;
  case RowExtent::Kind::Received:
    kind = plan::RowKind::Received;
    break;
  }
  return plan::Rows(kind, static_cast<uint16_t>(extent.exchange),
                    static_cast<uint32_t>(extent.factor));
}

std::unique_ptr<plan::Ref> owned(plan::Ref ref) { return std::make_unique<plan::Ref>(ref); }
std::unique_ptr<plan::Rows> owned(plan::Rows rows) { return std::make_unique<plan::Rows>(rows); }

/// The attribute `epi.name` of an argument or result.
std::string nameOf(Attribute attribute, StringRef kind, unsigned index) {
  if (auto name = dyn_cast_or_null<StringAttr>(attribute))
    return name.str();
  return (kind + Twine(index)).str();
}

/// The tables that functions share.
struct Tables {
  plan::PlanT plan;
  llvm::StringMap<uint32_t> weights;
  llvm::StringMap<uint32_t> kernels;
  llvm::StringMap<uint32_t> caches;
  llvm::DenseMap<Attribute, uint32_t> placements;
  uint64_t cacheBytesPerToken = 0;

  FailureOr<uint32_t> cache(epi::KvCacheOp op);
  uint32_t placement(ep::PlacementAttr placement);
};

FailureOr<uint32_t> Tables::cache(epi::KvCacheOp op) {
  auto [entry, isNew] = caches.try_emplace(op.getName(), plan.caches.size());
  auto cache = std::make_unique<plan::CacheT>();
  cache->name = op.getName().str();
  llvm::TypeSwitch<Type>(op.getType()).Case<epi::KvCacheType, epi::MlaCacheType>([&](auto type) {
    cache->dtype = planDType(type.getElementType());
    cache->entry_elements = static_cast<uint32_t>(type.getEntryElements());
  });
  if (!isNew) {
    const plan::CacheT &known = *plan.caches[entry->second];
    if (known.dtype != cache->dtype || known.entry_elements != cache->entry_elements)
      return op.emitError("cache \"")
             << op.getName() << "\" has another type elsewhere; two functions that share a cache "
             << "must agree on it";
    return entry->second;
  }
  cacheBytesPerToken += elementBytes(cache->dtype) * cache->entry_elements;
  plan.caches.push_back(std::move(cache));
  return entry->second;
}

uint32_t Tables::placement(ep::PlacementAttr placement) {
  auto [entry, isNew] = placements.try_emplace(placement, plan.placements.size());
  if (isNew) {
    auto table = std::make_unique<plan::PlacementT>();
    for (int64_t expert = 0; expert < placement.getExperts(); ++expert)
      table->owner.push_back(static_cast<uint16_t>(placement.getOwner(expert)));
    plan.placements.push_back(std::move(table));
  }
  return entry->second;
}

/// Writes one function.
class FunctionWriter {
public:
  FunctionWriter(func::FuncOp function, const RowExtents &extents, SymbolTable &symbols,
                 Tables &tables)
      : function_(function), extents_(extents), symbols_(symbols), tables_(tables),
        result_(std::make_unique<plan::FunctionT>()) {}

  FailureOr<std::unique_ptr<plan::FunctionT>> write();
  /// Bytes of all buffers side by side.
  uint64_t naiveBytes() const { return naiveBytes_; }

private:
  void addInputs();
  LogicalResult addBuffers(Operation *op);
  LogicalResult addOperation(Operation *op);
  LogicalResult addLaunch(exec::LaunchOp launch);
  LogicalResult mapCacheResults(exec::LaunchOp launch);
  LogicalResult addCollective(Operation *op, plan::CollectiveKind kind);
  LogicalResult addScatter(ep::ScatterExpertsOp op);
  LogicalResult addGather(ep::GatherExpertsOp op);
  void addOutputs(func::ReturnOp op);
  template <typename T> void addStep(Operation *op, T step);
  uint16_t exchangeOf(ep::ScatterExpertsOp op) const;
  plan::Ref ref(Value value) const { return refs_.at(value); }

  func::FuncOp function_;
  const RowExtents &extents_;
  SymbolTable &symbols_;
  Tables &tables_;
  std::unique_ptr<plan::FunctionT> result_;
  llvm::DenseMap<Value, plan::Ref> refs_;
  uint64_t naiveBytes_ = 0;
};

FailureOr<std::unique_ptr<plan::FunctionT>> FunctionWriter::write() {
  result_->name = function_.getSymName().str();
  addInputs();
  for (Operation &op : function_.getBody().front())
    if (failed(addOperation(&op)))
      return failure();
  return std::move(result_);
}

void FunctionWriter::addInputs() {
  for (BlockArgument argument : function_.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      continue; // The step: kernels get it beside their arguments.
    auto input = std::make_unique<plan::InputT>();
    unsigned index = argument.getArgNumber();
    input->name = nameOf(function_.getArgAttr(index, "epi.name"), "input", index);
    input->dtype = planDType(type.getElementType());
    input->row_elements = static_cast<uint32_t>(RowExtents::getRowElements(type));
    refs_.try_emplace(argument, plan::RefKind::Input,
                      static_cast<uint32_t>(result_->inputs.size()));
    result_->inputs.push_back(std::move(input));
  }
}

/// A buffer for each tensor that `op` gives.
LogicalResult FunctionWriter::addBuffers(Operation *op) {
  auto places = op->getAttrOfType<ArrayAttr>(exec::kBuffersAttrName);
  size_t next = 0;
  for (OpResult result : op->getResults()) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type)
      continue;
    auto place = places && next < places.size() ? dyn_cast<exec::BufferAttr>(places[next++])
                                                : exec::BufferAttr();
    if (!place)
      return op->emitError("has no ")
             << exec::kBuffersAttrName << " for result " << result.getResultNumber()
             << "; run --exec-plan-memory first";
    auto buffer = std::make_unique<plan::BufferT>();
    buffer->offset = static_cast<uint64_t>(place.getOffset());
    buffer->bytes = static_cast<uint64_t>(place.getBytes());
    buffer->dtype = planDType(type.getElementType());
    buffer->rows = owned(planRows(extents_.of(result)));
    buffer->row_elements = static_cast<uint32_t>(RowExtents::getRowElements(type));
    naiveBytes_ += llvm::alignTo(buffer->bytes, exec::kBufferAlignment);
    refs_.try_emplace(result, plan::RefKind::Buffer,
                      static_cast<uint32_t>(result_->buffers.size()));
    result_->buffers.push_back(std::move(buffer));
  }
  return success();
}

LogicalResult FunctionWriter::addOperation(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](exec::LoadWeightOp load) {
        refs_.try_emplace(load.getResult(), plan::RefKind::Weight,
                          tables_.weights.lookup(load.getWeight()));
        return success();
      })
      .Case([&](epi::KvCacheOp cache) {
        FailureOr<uint32_t> index = tables_.cache(cache);
        if (succeeded(index))
          refs_.try_emplace(cache.getResult(), plan::RefKind::Cache, *index);
        return success(succeeded(index));
      })
      .Case([&](exec::LaunchOp launch) { return addLaunch(launch); })
      .Case([&](ep::ShardRowsOp) { return addCollective(op, plan::CollectiveKind::ShardRows); })
      .Case([&](ep::AllGatherOp) { return addCollective(op, plan::CollectiveKind::AllGatherRows); })
      .Case([&](ep::AllReduceOp) { return addCollective(op, plan::CollectiveKind::AllReduce); })
      .Case([&](ep::ReduceScatterOp) {
        return addCollective(op, plan::CollectiveKind::ReduceScatter);
      })
      .Case([&](ep::ScatterExpertsOp scatter) { return addScatter(scatter); })
      .Case([&](ep::GatherExpertsOp gather) { return addGather(gather); })
      .Case([&](func::ReturnOp op) {
        addOutputs(op);
        return success();
      })
      .Default([](Operation *other) {
        return other->emitError("has no place in a plan; run the phases up to codegen first");
      });
}

template <typename T> void FunctionWriter::addStep(Operation *op, T step) {
  auto entry = std::make_unique<plan::StepT>();
  entry->location = locationText(op->getLoc());
  entry->op.Set(std::move(step));
  result_->steps.push_back(std::move(entry));
}

/// A cache that a launch returns is the one it was given, written in place: the operand that the
/// kernel's yielded `epi.kv_append` appends to.
LogicalResult FunctionWriter::mapCacheResults(exec::LaunchOp launch) {
  auto kernel = symbols_.lookup<exec::KernelOp>(launch.getKernel());
  Operation *yield = kernel.getBody().front().getTerminator();
  for (OpResult result : launch->getResults()) {
    if (isa<RankedTensorType>(result.getType()))
      continue;
    auto append = yield->getOperand(result.getResultNumber()).getDefiningOp<epi::KvAppendOp>();
    auto argument = append ? dyn_cast<BlockArgument>(append.getCache()) : BlockArgument();
    if (!argument)
      return launch.emitError("returns a cache that its kernel does not append to");
    refs_.try_emplace(result, ref(launch.getInputs()[argument.getArgNumber()]));
  }
  return success();
}

LogicalResult FunctionWriter::addLaunch(exec::LaunchOp launch) {
  auto kernel = symbols_.lookup<exec::KernelOp>(launch.getKernel());
  std::optional<exec::TilingAttr> tiling = kernel.getTiling();
  if (!tiling)
    return launch.emitError("kernel @")
           << launch.getKernel() << " has no tiling: no code was generated for it";
  if (failed(mapCacheResults(launch)) || failed(addBuffers(launch)))
    return failure();
  plan::LaunchT step;
  step.kernel = tables_.kernels.lookup(launch.getKernel());
  step.rows = owned(planRows(extents_.ofLaunch(launch)));
  step.row_tile = static_cast<uint32_t>(tiling->getRows());
  step.column_tiles = static_cast<uint32_t>(tiling->getColumns());
  for (Value input : launch.getInputs())
    if (!isa<epi::StepType>(input.getType()))
      step.args.push_back(ref(input));
  for (Value result : launch->getResults())
    if (isa<RankedTensorType>(result.getType()))
      step.args.push_back(ref(result));
  addStep(launch, std::move(step));
  return success();
}

LogicalResult FunctionWriter::addCollective(Operation *op, plan::CollectiveKind kind) {
  if (failed(addBuffers(op)))
    return failure();
  plan::CollectiveT step;
  step.kind = kind;
  step.source = owned(ref(op->getOperand(0)));
  step.result = owned(ref(op->getResult(0)));
  addStep(op, std::move(step));
  return success();
}

uint16_t FunctionWriter::exchangeOf(ep::ScatterExpertsOp op) const {
  ArrayRef<ep::ScatterExpertsOp> exchanges = extents_.getExchanges();
  return static_cast<uint16_t>(llvm::find(exchanges, op) - exchanges.begin());
}

LogicalResult FunctionWriter::addScatter(ep::ScatterExpertsOp op) {
  if (failed(addBuffers(op)))
    return failure();
  plan::ScatterExpertsT step;
  step.rows = owned(ref(op.getRows()));
  step.counts = owned(ref(op.getCounts()));
  step.result = owned(ref(op.getReceived()));
  step.result_counts = owned(ref(op.getReceivedCounts()));
  step.placement = tables_.placement(op.getPlacement());
  step.exchange = exchangeOf(op);
  addStep(op, std::move(step));
  return success();
}

LogicalResult FunctionWriter::addGather(ep::GatherExpertsOp op) {
  if (failed(addBuffers(op)))
    return failure();
  ep::ScatterExpertsOp scatter = op.getScatter();
  plan::GatherExpertsT step;
  step.rows = owned(ref(op.getRows()));
  step.counts = owned(ref(op.getCounts()));
  step.result = owned(ref(op.getResult()));
  step.placement = tables_.placement(scatter.getPlacement());
  step.exchange = exchangeOf(scatter);
  addStep(op, std::move(step));
  return success();
}

void FunctionWriter::addOutputs(func::ReturnOp op) {
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    auto output = std::make_unique<plan::OutputT>();
    output->name = nameOf(function_.getResultAttr(i, "epi.name"), "output", i);
    output->source = owned(ref(value));
    result_->outputs.push_back(std::move(output));
  }
}

void addWeights(ModuleOp module, Tables &tables) {
  for (const StoredWeight &stored : collectStoredWeights(module)) {
    auto weight = std::make_unique<plan::WeightT>();
    weight->name = stored.name;
    weight->dtype = planDType(stored.dtype);
    weight->shape = stored.stored;
    weight->shared = stored.shared;
    tables.weights.try_emplace(stored.name, tables.plan.weights.size());
    tables.plan.weights.push_back(std::move(weight));
  }
}

/// Kernels that share their code have a symbol in the library each all the same.
void addKernels(ModuleOp module, Tables &tables) {
  for (auto op : module.getOps<exec::KernelOp>()) {
    auto kernel = std::make_unique<plan::KernelT>();
    kernel->symbol = cpu::kernelSymbol(op.getSymName());
    tables.kernels.try_emplace(op.getSymName(), tables.plan.kernels.size());
    tables.plan.kernels.push_back(std::move(kernel));
  }
}

LogicalResult addHead(ModuleOp module, plan::PlanT &plan) {
  auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  if (!limits)
    return module.emitError("has no ") << exec::kLimitsAttrName;
  plan.version = kPlanVersion;
  plan.ranks = 1;
  for (auto mesh : module.getOps<ep::MeshOp>()) {
    plan.ranks = static_cast<uint32_t>(mesh.getExpert());
    plan.attention = mesh.getAttention() == ep::AttentionMode::Data ? plan::Attention::Data
                                                                    : plan::Attention::Replicated;
  }
  plan.limits = std::make_unique<plan::LimitsT>();
  plan.limits->batch_tokens = static_cast<uint32_t>(limits.getBatchTokens());
  plan.limits->sequences = static_cast<uint32_t>(limits.getSequences());
  plan.limits->context = static_cast<uint32_t>(limits.getMaxContext());
  plan.limits->page_tokens = kPageTokens;
  return success();
}

} // namespace

FailureOr<WrittenPlan> writePlan(ModuleOp module) {
  Tables tables;
  WrittenPlan written;
  if (failed(addHead(module, tables.plan)))
    return failure();
  addWeights(module, tables);
  addKernels(module, tables);
  SymbolTable symbols(module);
  for (auto function : module.getOps<func::FuncOp>()) {
    FailureOr<RowExtents> extents = RowExtents::compute(function);
    if (failed(extents))
      return failure();
    FunctionWriter writer(function, *extents, symbols, tables);
    auto result = writer.write();
    if (failed(result))
      return failure();
    tables.plan.functions.push_back(std::move(*result));
    auto arena = function->getAttrOfType<IntegerAttr>(exec::kArenaBytesAttrName);
    if (!arena)
      return function.emitError("has no ")
             << exec::kArenaBytesAttrName << "; run --exec-plan-memory first";
    written.sizes.arenaBytes =
        std::max(written.sizes.arenaBytes, static_cast<uint64_t>(arena.getInt()));
    written.sizes.arenaNaiveBytes = std::max(written.sizes.arenaNaiveBytes, writer.naiveBytes());
  }
  tables.plan.arena_bytes = written.sizes.arenaBytes;
  written.sizes.cacheBytesPerToken = tables.cacheBytesPerToken;

  flatbuffers::FlatBufferBuilder builder;
  plan::FinishPlanBuffer(builder, plan::CreatePlan(builder, &tables.plan));
  written.bytes.assign(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
  if (auto checked = Plan::parse(written.bytes, "the plan just written"); !checked.ok())
    return module.emitError("the plan is not valid; this is a bug: ")
           << std::string(checked.status().message());
  return written;
}

} // namespace epigraph
