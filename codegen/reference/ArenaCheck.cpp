#include "codegen/reference/ArenaCheck.h"

#include "dialects/exec/Exec.h"

using namespace mlir;

namespace epigraph::reference {

/// "result 1 of 'exec.launch' (%0)": values have no names of their own outside the text.
static std::string describe(Value value) {
  auto result = cast<OpResult>(value);
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "result " << result.getResultNumber() << " of '" << result.getOwner()->getName() << "'";
  if (auto launch = dyn_cast<exec::LaunchOp>(result.getOwner()))
    stream << " @" << launch.getKernel();
  return text;
}

ArenaCheck::ArenaCheck(func::FuncOp function) {
  if (auto bytes = function->getAttrOfType<IntegerAttr>(exec::kArenaBytesAttrName)) {
    planned = true;
    arenaBytes = bytes.getInt();
  }
}

LogicalResult ArenaCheck::read(Operation *op) {
  if (failed(flight.enter(op)))
    return failure();
  for (Value operand : op->getOperands()) {
    auto destroyer = destroyedBy.find(operand);
    if (destroyer == destroyedBy.end())
      continue;
    InFlightDiagnostic diagnostic = op->emitOpError("reads ")
                                    << describe(operand)
                                    << ", whose buffer was overwritten before: the memory plan is "
                                       "wrong, run --exec-plan-memory again";
    diagnostic.attachNote(operand.getLoc()) << "the value was written here";
    diagnostic.attachNote(destroyer->second->getLoc())
        << "and overwritten here, by '" << destroyer->second->getName() << "'";
    return diagnostic;
  }
  return success();
}

LogicalResult ArenaCheck::write(Operation *op, ArrayRef<const Tensor *> results) {
  int64_t tensors = llvm::count_if(results, [](const Tensor *result) { return result; });
  bool places = isa<exec::LaunchOp>(op) || isa<ep::EpDialect>(op->getDialect());
  if (!planned || tensors == 0 || !places)
    return success();
  auto buffers = op->getAttrOfType<ArrayAttr>(exec::kBuffersAttrName);
  if (!buffers || static_cast<int64_t>(buffers.size()) != tensors)
    return op->emitOpError("has ") << tensors << " tensor results but "
                                   << (buffers ? buffers.size() : 0) << " exec.buffers, although "
                                   << "its function is planned; run --exec-plan-memory again";
  size_t index = 0;
  for (auto [result, value] : llvm::zip_equal(op->getResults(), results)) {
    if (!value)
      continue;
    auto buffer = dyn_cast<exec::BufferAttr>(buffers[index++]);
    if (!buffer)
      return op->emitOpError("exec.buffers must hold #exec.buffer attributes");
    Interval interval{buffer.getOffset(), buffer.getOffset() + buffer.getBytes()};
    if (failed(place(result, interval, *value)))
      return failure();
  }
  return success();
}

LogicalResult ArenaCheck::place(OpResult result, Interval buffer, const Tensor &value) {
  Operation *op = result.getOwner();
  if (buffer.end > arenaBytes)
    return op->emitOpError("the buffer of ") << describe(result) << " ends at " << buffer.end
                                             << ", beyond the arena of " << arenaBytes << " bytes";
  unsigned bits = cast<RankedTensorType>(result.getType()).getElementTypeBitWidth();
  int64_t needed = value.elements() * (bits / 8);
  if (needed > buffer.end - buffer.begin)
    return op->emitOpError() << describe(result) << " has " << value.rows() << " rows and needs "
                             << needed << " bytes; its buffer has " << buffer.end - buffer.begin;
  SmallVector<Value> destroyed;
  for (const auto &[other, interval] : live) {
    if (!interval.overlaps(buffer))
      continue;
    if (llvm::is_contained(op->getOperands(), other))
      return op->emitOpError("the buffer of ") << describe(result) << " overlaps its operand, "
                                               << describe(other) << ", which it still reads";
    if (Operation *holder = flight.holderOf(other); holder && holder != op) {
      InFlightDiagnostic diagnostic =
          op->emitOpError("the buffer of ")
          << describe(result) << " overlaps " << describe(other) << ", which '" << holder->getName()
          << "' needs until an ep.wait: the memory plan is wrong, run --exec-plan-memory again";
      diagnostic.attachNote(holder->getLoc()) << "started here";
      return diagnostic;
    }
    destroyed.push_back(other);
  }
  for (Value other : destroyed) {
    live.erase(other);
    destroyedBy[other] = op;
  }
  live[result] = buffer;
  return success();
}

} // namespace epigraph::reference
