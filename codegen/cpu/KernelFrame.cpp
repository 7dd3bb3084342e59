// The argument array of a launch holds the launch's operands but for the step, then its tensor
// results.
#include "codegen/cpu/KernelFrame.h"

#include "runtime/artifact/KernelAbi.h"

using namespace mlir;

namespace epigraph::cpu {

KernelFrame::KernelFrame(exec::KernelOp kernel, OpBuilder &builder, const CpuTarget &target,
                         ValueRange parameters)
    : e(builder, kernel.getLoc(), target), kernel(kernel), step(parameters[1]),
      rowCount(parameters[2]), firstTile(parameters[3]), lastTile(parameters[4]) {
  int64_t slot = 0;
  auto next = [&] { return e.loadPointer(e.advance(parameters[0], sizeof(void *) * slot++)); };
  for (Type type : kernel.getArgumentTypes())
    inputs.push_back(isa<epi::StepType>(type) ? Value() : next());
  for (Type type : kernel.getResultTypes())
    results.push_back(isa<TensorType>(type) ? next() : Value());
}

Value KernelFrame::rowAddress(const TensorView &view, Value row) {
  const int64_t bytes = byteSize(view.elementType);
  Value base = e.advance(address(view.argument), view.offset * bytes);
  return view.hasRows ? e.element(base, row, view.rowStride * bytes) : base;
}

Value KernelFrame::resultRow(unsigned index, Value row) {
  auto type = cast<RankedTensorType>(kernel.getResultTypes()[index]);
  int64_t bytes = byteSize(type.getElementType());
  for (int64_t size : staticShape(type))
    bytes *= size;
  return e.element(resultAddress(index), row, bytes);
}

FailureOr<TensorView> KernelFrame::view(Operation *op, Value operand, StringRef name) {
  if (std::optional<TensorView> view = resolveView(operand))
    return *view;
  InFlightDiagnostic diagnostic =
      op->emitError("CPU kernel @")
      << kernel.getSymName() << " cannot read '" << name
      << "' in place: it must be an argument, or a split or reshape of one "
         "that keeps its elements where they are; outline the operation "
         "that computes it as a kernel of its own";
  if (Operation *producer = operand.getDefiningOp())
    diagnostic.attachNote(producer->getLoc()) << "computed here";
  return diagnostic;
}

FailureOr<unsigned> KernelFrame::yieldedAs(Operation *op, Value value) {
  auto yield = cast<exec::YieldOp>(kernel.getBody().front().getTerminator());
  std::optional<unsigned> found;
  for (auto [index, yielded] : llvm::enumerate(yield.getValues())) {
    if (yielded != value)
      continue;
    if (found)
      return op->emitError("CPU kernel @") << kernel.getSymName()
                                           << " yields one value twice; yield it once and use the "
                                              "launch's result twice";
    found = index;
  }
  if (!found)
    return op->emitError("CPU kernel @")
           << kernel.getSymName()
           << " must yield this operation's results as they are; outline what "
           << "follows it as a kernel of its own";
  return *found;
}

Value KernelFrame::stepField(int64_t offset) { return e.loadPointer(e.advance(step, offset)); }

Value KernelFrame::positions() { return stepField(offsetof(KernelStep, positions)); }

Value KernelFrame::sequenceOfTokens() { return stepField(offsetof(KernelStep, sequence)); }

Value KernelFrame::outputRows() { return stepField(offsetof(KernelStep, outputRows)); }

Value KernelFrame::pageTableOf(Value token) {
  Value sequence = e.loadI32(e.element(sequenceOfTokens(), token, sizeof(int32_t)));
  Value stride = e.loadI64(e.advance(step, offsetof(KernelStep, pageTableStride)));
  return e.element(stepField(offsetof(KernelStep, pageTable)), e.multiply(sequence, stride),
                   sizeof(int32_t));
}

void KernelFrame::forTiles(Tiling tiling, llvm::function_ref<void(Value, Value, Value)> body) {
  if (tiling.rows == 0) {
    e.forLoop(firstTile, lastTile, 1, [&](Value tile) { body(e.constant(0), rowCount, tile); });
    return;
  }
  Value blocks = e.divide(e.add(rowCount, tiling.rows - 1), tiling.rows);
  e.forLoop(firstTile, lastTile, 1, [&](Value tile) {
    const bool single = tiling.columns == 1;
    Value column = single ? e.constant(0) : e.divide(tile, blocks);
    Value block = single ? tile : e.remainder(tile, blocks);
    Value first = e.multiply(block, tiling.rows);
    body(first, e.minimum(e.add(first, tiling.rows), rowCount), column);
  });
}

} // namespace epigraph::cpu
