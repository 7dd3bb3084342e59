// One forward walk: arguments have Tokens rows, and an operation's result has the rows of its first
// operand with dynamic rows unless its meaning says otherwise. Launches are followed into their
// kernels, so the rules are written once, for operations. Static tensors are kept out of the
// propagation.
#include "passes/schedule/RowExtents.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace epigraph;
using Kind = RowExtent::Kind;
using Half = RowExtent::Half;

static bool hasDynamicRows(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && !tensor.hasStaticShape();
}

int64_t RowExtents::getRowElements(RankedTensorType type) {
  int64_t elements = 1;
  for (int64_t size : type.getShape().drop_front(type.getRank() > 0))
    elements *= size;
  return elements;
}

void RowExtents::set(Value value, RowExtent rows) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return;
  if (type.hasStaticShape())
    rows = {Kind::Static, 0, type.getRank() ? type.getDimSize(0) : 1};
  extents[value] = rows;
}

/// Rows of a kernel's or function's operation: those of its first operand with dynamic rows, except
/// where the operation changes their number.
static RowExtent rowsOfResults(Operation &op, llvm::function_ref<RowExtent(Value)> of) {
  return llvm::TypeSwitch<Operation *, RowExtent>(&op)
      .Case([](epi::OutputRowsOp) { return RowExtent{Kind::Outputs, 0, 1}; })
      .Case([&](epi::UnpermuteOp unpermute) { return of(unpermute.getSlots()); })
      .Case([&](ep::CombineReceiveOp combine) { return of(combine.getIds()); })
      .Default([&](Operation *op) {
        for (Value operand : op->getOperands())
          if (hasDynamicRows(operand.getType()))
            return of(operand);
        return RowExtent{Kind::Static, 0, 1};
      });
}

RowExtent RowExtents::addExchange(Operation *op, RowExtent sent, int64_t localExperts) {
  // At worst every rank sends all of its rows here, each to as many experts as a token takes and
  // this rank has. A permuted row count is a token count times top_k.
  const int64_t copies = std::min(sent.factor, localExperts);
  RowExtent tokens = sent;
  tokens.factor = 1;
  exchanges.push_back({op, sent, expert * maxRows(tokens) * copies});
  return {Kind::Received, static_cast<unsigned>(exchanges.size() - 1), 1};
}

LogicalResult RowExtents::visitLaunch(exec::LaunchOp launch) {
  auto kernel =
      SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(launch, launch.getKernelAttr());
  if (!kernel)
    return launch.emitOpError("there is no exec.kernel ") << launch.getKernelAttr();

  // The kernel may serve launches of other extents, so its values are kept apart from the
  // function's.
  llvm::DenseMap<Value, RowExtent> inner;
  auto of = [&](Value value) { return inner.at(value); };
  Block &body = kernel.getBody().front();
  for (auto [argument, input] : llvm::zip_equal(body.getArguments(), launch.getInputs()))
    if (hasDynamicRows(input.getType()))
      inner[argument] = extents.at(input);

  std::optional<RowExtent> launchRows;
  for (Operation &op : body.without_terminator()) {
    RowExtent rows = rowsOfResults(op, of);
    for (Value result : op.getResults())
      if (hasDynamicRows(result.getType()))
        inner[result] = rows;
    if (auto permute = dyn_cast<epi::PermuteOp>(op)) {
      int64_t topK = cast<RankedTensorType>(permute.getIds().getType()).getDimSize(1);
      inner[permute.getRows()].factor = rows.factor * topK;
      launchRows = rows;
    } else if (auto send = dyn_cast<ep::DispatchSendOp>(op)) {
      launchRows = sent = of(send.getX());
      sent.factor *= cast<RankedTensorType>(send.getIds().getType()).getDimSize(1);
    } else if (auto receive = dyn_cast<ep::DispatchReceiveOp>(op)) {
      RowExtent received = addExchange(launch, sent, receive.getPlacement().getLocalExperts());
      inner[receive.getRows()] = received;
      if (receive.getRowScales())
        inner[receive.getRowScales()] = received;
    } else if (auto send = dyn_cast<ep::CombineSendOp>(op)) {
      launchRows = of(send.getRows());
    } else if (auto append = dyn_cast<epi::KvAppendOp>(op)) {
      launchRows = of(append.getFirst());
    } else if (auto halve = dyn_cast<epi::HalveRowsOp>(op)) {
      if ((rows.kind != Kind::Tokens && rows.kind != Kind::LocalTokens) ||
          rows.half != Half::Whole || rows.factor != 1)
        return launch.emitOpError("halves rows that are not one for each token of a rank");
      inner[halve.getFirst()].half = Half::First;
      inner[halve.getSecond()].half = Half::Second;
      launchRows = rows;
    } else if (auto join = dyn_cast<epi::JoinRowsOp>(op)) {
      RowExtent second = of(join.getSecond());
      if (rows.half != Half::First || second.half != Half::Second || rows.kind != second.kind)
        return launch.emitOpError("joins rows that are not the two halves of a batch");
      inner[join.getResult()].half = Half::Whole;
    }
  }

  for (auto [result, yielded] :
       llvm::zip_equal(launch.getResults(), body.getTerminator()->getOperands())) {
    RowExtent rows = hasDynamicRows(result.getType()) ? of(yielded) : RowExtent{};
    set(result, rows);
    if (!launchRows && hasDynamicRows(result.getType()))
      launchRows = rows;
  }
  launches[launch] = launchRows.value_or(RowExtent{});
  return success();
}

/// A rank's share of `rows` along `axis`.
FailureOr<RowExtent> RowExtents::ofShare(Operation *op, RowExtent rows, ep::Axis axis) const {
  if (rows.kind != Kind::Tokens || rows.half != Half::Whole)
    return op->emitOpError("shares out rows that are not those of the whole batch");
  rows.kind = Kind::LocalTokens;
  rows.axis = axis;
  return rows;
}

LogicalResult RowExtents::visit(Operation &op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](exec::LaunchOp launch) { return visitLaunch(launch); })
      .Case<ep::ShardRowsOp, ep::ReduceScatterOp>([&](auto op) -> LogicalResult {
        FailureOr<RowExtent> share = ofShare(op, extents.at(op.getX()), op.getAxis());
        if (succeeded(share))
          set(op.getResult(), *share);
        return share;
      })
      .Case([&](ep::AllGatherOp op) -> LogicalResult {
        RowExtent rows = extents.at(op.getX());
        if (rows.kind != Kind::LocalTokens || rows.half != Half::Whole || rows.axis != op.getAxis())
          return op.emitOpError("gathers rows that are not a rank's share of the tokens "
                                "(ep.shard_rows or ep.reduce_scatter) along its axis");
        rows.kind = Kind::Tokens;
        set(op.getResult(), rows);
        return success();
      })
      .Case<ep::AllReduceOp, ep::GatherColumnsOp, ep::ShardColumnsOp>([&](auto op) {
        set(op.getResult(), extents.at(op.getX()));
        return success();
      })
      .Case([&](ep::ScatterExpertsOp op) {
        set(op.getReceived(),
            addExchange(op, extents.at(op.getRows()), op.getPlacement().getLocalExperts()));
        set(op.getReceivedCounts(), {});
        return success();
      })
      .Case([&](ep::GatherExpertsOp op) {
        set(op.getResult(), extents.at(op.getScatter().getRows()));
        return success();
      })
      .Case<exec::LoadWeightOp>([&](auto op) {
        set(op.getResult(), {});
        return success();
      })
      .Case<epi::KvCacheOp, ep::WaitOp, func::ReturnOp>([](auto) { return success(); })
      .Default([](Operation *op) {
        return op->emitOpError(
            "is not part of a schedule, so its rows are not known: outline kernels first "
            "(--exec-outline-kernels)");
      });
}

FailureOr<RowExtents> RowExtents::compute(func::FuncOp function) {
  RowExtents result;
  auto module = function->getParentOfType<ModuleOp>();
  result.limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  if (!result.limits)
    return emitError(module.getLoc(), "there is no ")
           << exec::kLimitsAttrName << " on the module: sizes need the limits of a batch, such as "
           << exec::kLimitsAttrName
           << " = #exec.limits<batch_tokens = 512, sequences = 32, context = 4096>";
  for (auto mesh : module.getOps<ep::MeshOp>())
    std::tie(result.expert, result.tensor) = std::pair(mesh.getExpert(), mesh.getTensor());
  if (function.isExternal())
    return result;
  for (Value argument : function.getArguments())
    result.set(argument, {Kind::Tokens, 0, 1});
  for (Operation &op : function.getOps())
    if (failed(result.visit(op)))
      return failure();
  return result;
}

int64_t RowExtents::maxRows(RowExtent extent) const {
  switch (extent.kind) {
  case Kind::Static:
    return extent.factor;
  case Kind::Tokens:
    return extent.count(limits.getBatchTokens());
  case Kind::Outputs:
    return limits.getSequences() * extent.factor;
  case Kind::LocalTokens:
    return extent.count(llvm::divideCeil(limits.getBatchTokens(),
                                         extent.axis == ep::Axis::Expert ? expert : tensor));
  case Kind::Received:
    return exchanges[extent.exchange].received * extent.factor;
  }
  llvm_unreachable("all kinds of rows are covered");
}

/// Rows of a device's buffers come in multiples of so many, times their factor: its tensor maps
/// want the columns of column-major float32 matrices to start at multiples of 16 bytes. The runtime
/// holds plans to it (runtime/artifact/DeviceRows.h).
static int64_t rowMultiple(Value value) {
  constexpr int64_t kDeviceRowMultiple = 4;
  auto module = value.getParentRegion()->getParentOfType<ModuleOp>();
  auto target = module->getAttrOfType<exec::TargetAttr>(exec::kTargetAttrName);
  return target && target.getName().getValue().starts_with("cuda:") ? kDeviceRowMultiple : 1;
}

int64_t RowExtents::maxBytes(Value value) const {
  auto type = cast<RankedTensorType>(value.getType());
  const RowExtent extent = of(value);
  int64_t rows = maxRows(extent);
  if (extent.kind != Kind::Static)
    rows = llvm::alignTo(rows / extent.factor, rowMultiple(value)) * extent.factor;
  return rows * getRowElements(type) * (type.getElementTypeBitWidth() / 8);
}
