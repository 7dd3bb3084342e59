// Functions are straight lines, so a lifetime is an interval of operation indices and two values
// conflict if their intervals touch. The verifier compares all pairs: quadratic, but independent of
// how the plan was made.
#include "passes/schedule/MemoryPlan.h"

#include "passes/schedule/UnderWay.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace epigraph;

/// True for operations whose tensor results lie in the arena.
static bool givesBuffers(Operation &op) {
  return !isa<exec::LoadWeightOp, epi::KvCacheOp, func::ReturnOp>(op);
}

SmallVector<PlannedValue> epigraph::collectPlannedValues(func::FuncOp function,
                                                         const RowExtents &extents) {
  llvm::DenseMap<Operation *, int64_t> index;
  for (Operation &op : function.getOps())
    index.try_emplace(&op, index.size());

  // A collective under way still needs what it reads and gives.
  llvm::DenseMap<Operation *, Operation *> ends = findEnds(function);
  auto lastNeed = [&](Operation *op) {
    Operation *end = ends.lookup(op);
    return index[end ? end : op];
  };

  SmallVector<PlannedValue> values;
  for (Operation &op : function.getOps()) {
    if (!givesBuffers(op))
      continue;
    for (OpResult result : op.getResults()) {
      if (!isa<RankedTensorType>(result.getType()))
        continue;
      PlannedValue value{result, 0, index[&op], lastNeed(&op)};
      value.bytes = llvm::alignTo(extents.maxBytes(result), exec::kBufferAlignment);
      for (Operation *user : result.getUsers())
        value.end = std::max(value.end, lastNeed(user));
      values.push_back(value);
    }
  }
  return values;
}

/// The buffer of `value`, or null if its operation has no plan for it.
static exec::BufferAttr getBuffer(OpResult value) {
  auto buffers = value.getOwner()->getAttrOfType<ArrayAttr>(exec::kBuffersAttrName);
  unsigned index = 0;
  for (OpResult earlier : value.getOwner()->getResults().take_front(value.getResultNumber()))
    index += isa<RankedTensorType>(earlier.getType());
  if (!buffers || index >= buffers.size())
    return {};
  return dyn_cast<exec::BufferAttr>(buffers[index]);
}

LogicalResult epigraph::verifyMemoryPlan(func::FuncOp function) {
  if (function.isExternal())
    return success();
  auto arena = function->getAttrOfType<IntegerAttr>(exec::kArenaBytesAttrName);
  if (!arena)
    return function.emitOpError("has no ")
           << exec::kArenaBytesAttrName << ": plan its memory first (--exec-plan-memory)";
  FailureOr<RowExtents> extents = RowExtents::compute(function);
  if (failed(extents))
    return failure();

  SmallVector<PlannedValue> values = collectPlannedValues(function, *extents);
  SmallVector<exec::BufferAttr> buffers;
  for (const PlannedValue &value : values) {
    Operation *op = value.value.getOwner();
    exec::BufferAttr buffer = getBuffer(value.value);
    if (!buffer)
      return op->emitOpError("has no buffer for result ") << value.value.getResultNumber();
    if (buffer.getBytes() < extents->maxBytes(value.value))
      return op->emitOpError("result ")
             << value.value.getResultNumber() << " needs " << extents->maxBytes(value.value)
             << " bytes, its buffer has " << buffer.getBytes();
    if (buffer.getBytes() > arena.getInt() ||
        buffer.getOffset() > arena.getInt() - buffer.getBytes())
      return op->emitOpError("buffer of result ")
             << value.value.getResultNumber() << " ends past the arena of " << arena.getInt()
             << " bytes";
    buffers.push_back(buffer);
  }

  for (size_t i = 0; i < values.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      bool apart = buffers[i].getOffset() + buffers[i].getBytes() <= buffers[j].getOffset() ||
                   buffers[j].getOffset() + buffers[j].getBytes() <= buffers[i].getOffset();
      if (apart || !values[i].livesWith(values[j]))
        continue;
      InFlightDiagnostic diagnostic = values[i].value.getOwner()->emitOpError("buffer ")
                                      << buffers[i] << " overlaps buffer " << buffers[j]
                                      << " of a value that is still needed";
      diagnostic.attachNote(values[j].value.getLoc()) << "the other value";
      return diagnostic;
    }
  return success();
}
