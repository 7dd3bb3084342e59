#include "passes/schedule/UnderWay.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace epigraph;

bool epigraph::isCollective(Operation *op) {
  return isa<ep::AllGatherOp, ep::AllReduceOp, ep::ReduceScatterOp, ep::GatherColumnsOp,
             ep::ScatterExpertsOp, ep::GatherExpertsOp>(op);
}

Value epigraph::tokenOf(Operation *op) {
  if (op->getNumResults() == 0 || !isa<ep::TokenType>(op->getResults().back().getType()))
    return {};
  return op->getResults().back();
}

Operation *epigraph::setStarts(Operation *collective, bool starts) {
  Value token = tokenOf(collective);
  if (static_cast<bool>(token) == starts)
    return collective;
  SmallVector<Type> types(collective->getResultTypes());
  if (starts)
    types.push_back(ep::TokenType::get(collective->getContext()));
  else
    types.pop_back();
  OpBuilder builder(collective);
  OperationState state(collective->getLoc(), collective->getName(), collective->getOperands(),
                       types, collective->getAttrs());
  Operation *changed = builder.create(state);
  for (auto [from, to] : llvm::zip(collective->getResults(), changed->getResults()))
    if (from != token)
      from.replaceAllUsesWith(to);
  collective->erase();
  return changed;
}

void UnderWay::pass(Operation *op) {
  if (auto wait = dyn_cast<ep::WaitOp>(op)) {
    for (Value token : wait.getTokens())
      if (auto *found = llvm::find(collectives, token.getDefiningOp()); found != collectives.end())
        collectives.erase(collectives.begin(), found + 1);
  } else if (tokenOf(op)) {
    collectives.push_back(op);
  } else if (isCollective(op)) {
    collectives.clear();
  }
}

Operation *UnderWay::latestReadBy(Operation *op) const {
  for (Operation *collective : llvm::reverse(collectives))
    for (Value operand : op->getOperands())
      if (operand.getDefiningOp() == collective && !isa<ep::TokenType>(operand.getType()))
        return collective;
  return nullptr;
}

bool UnderWay::isNeeded(ep::WaitOp wait) const {
  return llvm::any_of(wait.getTokens(), [&](Value token) {
    return llvm::is_contained(collectives, token.getDefiningOp());
  });
}

llvm::DenseMap<Operation *, Operation *> epigraph::findEnds(func::FuncOp function) {
  llvm::DenseMap<Operation *, Operation *> ends;
  UnderWay underWay;
  for (Operation &op : function.getOps()) {
    SmallVector<Operation *> before(underWay.get());
    underWay.pass(&op);
    for (Operation *collective : before)
      if (!llvm::is_contained(underWay.get(), collective))
        ends[collective] = &op;
  }
  for (Operation *collective : underWay.get())
    ends[collective] = function.getBody().front().getTerminator();
  return ends;
}

namespace {

/// Where a value lies in the arena; empty if its memory is not planned.
struct Interval {
  int64_t begin = 0, end = 0;

  bool overlaps(const Interval &other) const { return begin < other.end && other.begin < end; }
};

Interval intervalOf(Value value) {
  auto result = dyn_cast<OpResult>(value);
  if (!result || !isa<RankedTensorType>(result.getType()))
    return {};
  auto buffers = result.getOwner()->getAttrOfType<ArrayAttr>(exec::kBuffersAttrName);
  size_t index = 0;
  for (OpResult earlier : result.getOwner()->getResults().take_front(result.getResultNumber()))
    index += isa<RankedTensorType>(earlier.getType());
  if (!buffers || index >= buffers.size())
    return {};
  auto buffer = dyn_cast<exec::BufferAttr>(buffers[index]);
  return buffer ? Interval{buffer.getOffset(), buffer.getOffset() + buffer.getBytes()} : Interval();
}

/// Whether a value of `values` lies where one of `others` does.
bool overlap(ValueRange values, ValueRange others) {
  return llvm::any_of(values, [&](Value value) {
    Interval interval = intervalOf(value);
    return llvm::any_of(others, [&](Value other) { return interval.overlaps(intervalOf(other)); });
  });
}

LogicalResult missingWait(Operation *op, Operation *collective, const Twine &what) {
  InFlightDiagnostic diagnostic =
      op->emitOpError(what) << " '" << collective->getName()
                            << "', which is under way: an ep.wait for its token is missing before "
                               "(--exec-insert-waits)";
  diagnostic.attachNote(collective->getLoc()) << "started here";
  return diagnostic;
}

/// Compares `op` with each collective under way.
LogicalResult verifyAgainst(Operation *op, const UnderWay &underWay) {
  if (Operation *collective = underWay.latestReadBy(op))
    return missingWait(op, collective, "reads a result of");
  for (Operation *collective : underWay.get()) {
    if (overlap(op->getOperands(), collective->getResults()))
      return missingWait(op, collective, "reads memory that is written by");
    if (overlap(op->getResults(), collective->getResults()))
      return missingWait(op, collective, "writes memory that is written by");
    if (overlap(op->getResults(), collective->getOperands()))
      return missingWait(op, collective, "writes memory that is read by");
  }
  return success();
}

} // namespace

LogicalResult epigraph::verifyWaits(func::FuncOp function) {
  UnderWay underWay;
  for (Operation &op : function.getOps()) {
    if (auto wait = dyn_cast<ep::WaitOp>(op)) {
      if (!underWay.isNeeded(wait))
        return wait.emitOpError(
            "waits for nothing: its collectives have finished before; erase it");
    } else if (isa<func::ReturnOp>(op)) {
      if (!underWay.get().empty())
        return missingWait(&op, underWay.get().back(), "ends the function during");
    } else if (failed(verifyAgainst(&op, underWay))) {
      return failure();
    }
    underWay.pass(&op);
  }
  return success();
}
