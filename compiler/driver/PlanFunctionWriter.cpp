#include "compiler/driver/PlanFunctionWriter.h"

#include "llvm/ADT/TypeSwitch.h"

#include "compiler/driver/Diagnostics.h"
#include "passes/schedule/UnderWay.h"

using namespace mlir;

namespace epigraph {
namespace {

std::unique_ptr<plan::Ref> owned(plan::Ref ref) { return std::make_unique<plan::Ref>(ref); }
std::unique_ptr<plan::Rows> owned(plan::Rows rows) { return std::make_unique<plan::Rows>(rows); }

/// The attribute `epi.name` of an argument or result.
std::string nameOf(Attribute attribute, StringRef kind, unsigned index) {
  if (auto name = dyn_cast_or_null<StringAttr>(attribute))
    return name.str();
  return (kind + Twine(index)).str();
}

} // namespace

FailureOr<std::unique_ptr<plan::FunctionT>> PlanFunctionWriter::write() {
  result_->name = function_.getSymName().str();
  addInputs();
  for (Operation &op : function_.getBody().front())
    if (failed(addOperation(&op)))
      return failure();
  addExchanges();
  return std::move(result_);
}

void PlanFunctionWriter::addInputs() {
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
LogicalResult PlanFunctionWriter::addBuffers(Operation *op) {
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

LogicalResult PlanFunctionWriter::addOperation(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](exec::LoadWeightOp load) {
        refs_.try_emplace(load.getResult(), plan::RefKind::Weight,
                          tables_.weight(load.getWeight()));
        return success();
      })
      .Case([&](epi::KvCacheOp cache) {
        FailureOr<uint32_t> index = tables_.cache(cache);
        if (succeeded(index))
          refs_.try_emplace(cache.getResult(), plan::RefKind::Cache, *index);
        return success(succeeded(index));
      })
      .Case([&](exec::LaunchOp launch) { return addLaunch(launch); })
      .Case([&](ep::ShardRowsOp op) { return addCollective(op, plan::CollectiveKind::ShardRows); })
      .Case([&](ep::ShardColumnsOp op) {
        return addCollective(op, plan::CollectiveKind::ShardColumns);
      })
      .Case([&](ep::AllGatherOp op) {
        return addCollective(op, plan::CollectiveKind::AllGatherRows);
      })
      .Case([&](ep::AllReduceOp op) { return addCollective(op, plan::CollectiveKind::AllReduce); })
      .Case([&](ep::ReduceScatterOp op) {
        return addCollective(op, plan::CollectiveKind::ReduceScatter);
      })
      .Case([&](ep::GatherColumnsOp op) {
        return addCollective(op, plan::CollectiveKind::GatherColumns);
      })
      .Case([&](ep::ScatterExpertsOp scatter) { return addScatter(scatter); })
      .Case([&](ep::GatherExpertsOp gather) { return addGather(gather); })
      .Case([&](ep::WaitOp wait) {
        plan::WaitT step;
        for (Value token : wait.getTokens()) // the latest ends all before it
          step.until = std::max(step.until, startedAt_.at(token.getDefiningOp()));
        addStep(wait, step);
        return success();
      })
      .Case([&](func::ReturnOp op) {
        addOutputs(op);
        return success();
      })
      .Default([](Operation *other) {
        return other->emitError("has no place in a plan; run the phases up to codegen first");
      });
}

template <typename T> void PlanFunctionWriter::addStep(Operation *op, T step) {
  auto entry = std::make_unique<plan::StepT>();
  entry->location = locationText(op->getLoc());
  entry->op.Set(std::move(step));
  if (tokenOf(op))
    startedAt_[op] = static_cast<uint32_t>(result_->steps.size());
  result_->steps.push_back(std::move(entry));
}

/// A cache that a launch returns is the one it was given, written in place: the operand that the
/// kernel's yielded `epi.kv_append` appends to.
LogicalResult PlanFunctionWriter::mapCacheResults(exec::LaunchOp launch) {
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

LogicalResult PlanFunctionWriter::addLaunch(exec::LaunchOp launch) {
  auto kernel = symbols_.lookup<exec::KernelOp>(launch.getKernel());
  std::optional<exec::TilingAttr> tiling = kernel.getTiling();
  const bool onDevice = tables_.hasVariants(launch.getKernel());
  if (!tiling && !onDevice)
    return launch.emitError("kernel @")
           << launch.getKernel() << " has no tiling: no code was generated for it";
  if (failed(mapCacheResults(launch)) || failed(addBuffers(launch)))
    return failure();
  plan::LaunchT step;
  step.kernel = tables_.kernel(launch.getKernel());
  step.rows = owned(planRows(extents_.ofLaunch(launch)));
  step.row_tile = onDevice ? 0 : static_cast<uint32_t>(tiling->getRows());
  step.column_tiles = onDevice ? 1 : static_cast<uint32_t>(tiling->getColumns());
  for (Value input : launch.getInputs())
    if (!isa<epi::StepType>(input.getType()))
      step.args.push_back(ref(input));
  for (Value result : launch->getResults())
    if (isa<RankedTensorType>(result.getType()))
      step.args.push_back(ref(result));
  addStep(launch, std::move(step));
  return success();
}

template <typename Op>
LogicalResult PlanFunctionWriter::addCollective(Op op, plan::CollectiveKind kind) {
  if (failed(addBuffers(op)))
    return failure();
  plan::CollectiveT step;
  step.kind = kind;
  step.axis = op.getAxis() == ep::Axis::Tensor ? plan::Axis::Tensor : plan::Axis::Expert;
  step.source = owned(ref(op.getX()));
  step.result = owned(ref(op.getResult()));
  step.starts = static_cast<bool>(op.getToken());
  addStep(op, std::move(step));
  return success();
}

uint16_t PlanFunctionWriter::exchangeOf(ep::ScatterExpertsOp op) const {
  ArrayRef<RowExchange> exchanges = extents_.getExchanges();
  auto found = llvm::find_if(
      exchanges, [&](const RowExchange &other) { return other.op == op.getOperation(); });
  return static_cast<uint16_t>(found - exchanges.begin());
}

LogicalResult PlanFunctionWriter::addScatter(ep::ScatterExpertsOp op) {
  if (failed(addBuffers(op)))
    return failure();
  plan::ScatterExpertsT step;
  step.rows = owned(ref(op.getRows()));
  step.counts = owned(ref(op.getCounts()));
  step.result = owned(ref(op.getReceived()));
  step.result_counts = owned(ref(op.getReceivedCounts()));
  step.placement = tables_.placement(op.getPlacement());
  step.exchange = exchangeOf(op);
  step.starts = static_cast<bool>(op.getToken());
  addStep(op, std::move(step));
  return success();
}

LogicalResult PlanFunctionWriter::addGather(ep::GatherExpertsOp op) {
  if (failed(addBuffers(op)))
    return failure();
  ep::ScatterExpertsOp scatter = op.getScatter();
  plan::GatherExpertsT step;
  step.rows = owned(ref(op.getRows()));
  step.counts = owned(ref(op.getCounts()));
  step.result = owned(ref(op.getResult()));
  step.placement = tables_.placement(scatter.getPlacement());
  step.exchange = exchangeOf(scatter);
  step.starts = static_cast<bool>(op.getToken());
  addStep(op, std::move(step));
  return success();
}

/// Where kernels around ep.dispatch_receive say how many rows have arrived.
void PlanFunctionWriter::addExchanges() {
  for (const RowExchange &exchange : extents_.getExchanges()) {
    auto launch = dyn_cast<exec::LaunchOp>(exchange.op);
    if (!launch)
      continue; // ep.scatter_experts tells the host.
    auto kernel = symbols_.lookup<exec::KernelOp>(launch.getKernel());
    for (auto [result, yielded] : llvm::zip_equal(
             launch->getResults(), kernel.getBody().front().getTerminator()->getOperands())) {
      auto receive = yielded.getDefiningOp<ep::DispatchReceiveOp>();
      if (receive && yielded == receive.getReceived())
        result_->exchanges.push_back(ref(result));
    }
  }
}

void PlanFunctionWriter::addOutputs(func::ReturnOp op) {
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    auto output = std::make_unique<plan::OutputT>();
    output->name = nameOf(function_.getResultAttr(i, "epi.name"), "output", i);
    output->source = owned(ref(value));
    result_->outputs.push_back(std::move(output));
  }
}

} // namespace epigraph
