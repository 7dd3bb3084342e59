// Fused row groups: any body of elementwise operations, rms_norm, softmax, quantize, concat and
// views.
//
// A row has a warp or less if it is short, else a block; threads share out its chunks
// (RowChunks.h). First comes what needs the whole row, in the order of the body: the sums of each
// norm and softmax, and the single values that meet a whole row; then each result. Values stay in
// registers from the sums to the results, so a row is read once. A row of which no value needs the
// whole is shared out to several blocks. Values are rounded to bf16 exactly where their types say
// so.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/RowEvaluator.h"
#include "codegen/target/Elementwise.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kCacheLine = 128; ///< bytes

bool hasRows(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 0 && type.isDynamicDim(0);
}

/// A vector that meets every row, or what computes one.
bool isVector(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 1 && type.hasStaticShape();
}

LogicalResult checkTypes(exec::KernelOp kernel) {
  for (Operation &op : kernel.getBody().front())
    for (OpOperand &operand : op.getOpOperands()) {
      const bool meetsRows = broadcastOf(operand) == epi::Broadcast::Columns ||
                             (op.getNumResults() && llvm::all_of(op.getResults(), isVector));
      if (!hasRows(operand.get()) && !(meetsRows && isVector(operand.get())))
        return op.emitError("CUDA kernel @")
               << kernel.getSymName() << " is computed row by row, but an operand of '"
               << op.getName() << "' has type " << operand.get().getType()
               << ", whose first dimension is not the rows; make it part of the weight program";
    }
  return success();
}

/// The value whose chunks are walked over to compute `yielded`.
Value walkedFor(Value yielded) {
  auto quantize = yielded.getDefiningOp<epi::QuantizeOp>();
  return quantize ? quantize.getX() : yielded;
}

/// Slots of the longest run that is walked over.
int64_t mostSlots(exec::KernelOp kernel, RowLayout &layout) {
  const int64_t common = periodOf(kernel);
  int64_t most = 1;
  auto walk = [&](Value value) {
    const int64_t period = common ? common : periodOf(value);
    for (const Run &run : layout.runsOf(value, period))
      most = std::max(most, ChunkGrid(run, period != 0).slots());
  };
  for (Operation &op : kernel.getBody().front())
    if (needsWholeRow(op))
      walk(op.getOperand(0));
  for (Value yielded : kernel.getBody().front().getTerminator()->getOperands())
    walk(walkedFor(yielded));
  return most;
}

/// Fetches the vectors that meet all rows into the cache, while the kernel before still runs.
void prefetchVectors(KernelFrame &frame, const RowThreads &threads) {
  Emitter &e = frame.e;
  for (BlockArgument argument : frame.kernel.getBody().getArguments()) {
    if (!isVector(argument))
      continue;
    auto type = cast<RankedTensorType>(argument.getType());
    const int64_t lines =
        llvm::divideCeil(type.getNumElements() * type.getElementTypeBitWidth() / 8, kCacheLine);
    for (int64_t first = 0; first < lines; first += threads.ofBlock()) {
      Val line = e.minimum(e.threadId() + first, e.i32(lines - 1));
      e.ptx({}, "prefetch.global.L2 [$0];", "l", e.at(frame.address(argument), line, kCacheLine));
    }
  }
}

/// Emits the kernel; an operation that it cannot compute, or null.
Operation *emitRows(KernelFrame &frame, RowLayout &layout, const RowThreads &threads) {
  Emitter &e = frame.e;
  Block &body = frame.kernel.getBody().front();
  Operation *unsupported = nullptr;
  prefetchVectors(frame, threads);
  e.waitForPrevious();
  e.allowNext();
  Val block = e.blockId(), part;
  if (threads.columns > 1) {
    part = block % threads.columns;
    block = block / threads.columns;
  }
  Val first = block * threads.rows, rows = frame.rows();
  e.ifThen(first < rows, [&] {
    Val row = first, exists;
    if (threads.rows > 1) {
      row = first + e.threadId() / threads.ofRow;
      exists = row < rows;
      row = e.minimum(row, rows - 1);
    }
    RowEvaluator evaluator(frame, layout, threads, row, exists, part);
    for (Operation &op : body.without_terminator())
      evaluator.prepare(op);
    for (auto [index, value] : llvm::enumerate(body.getTerminator()->getOperands()))
      evaluator.store(value, static_cast<unsigned>(index));
    unsupported = evaluator.unsupported();
  });
  return unsupported;
}

} // namespace

LogicalResult buildRows(KernelAssembly &assembly) {
  exec::KernelOp kernel = assembly.kernel;
  if (failed(checkTypes(kernel)))
    return failure();
  Block &body = kernel.getBody().front();
  RowLayout layout;
  const RowThreads threads(mostSlots(kernel, layout), llvm::none_of(body, needsWholeRow));
  FunctionSpec spec;
  spec.threads = threads.ofBlock();
  spec.sharedBytes = sharedBytesOf(kernel, threads);
  spec.rowTile = threads.rows;
  spec.columnTiles = threads.columns;
  Operation *unsupported = nullptr;
  assembly.addFunction(spec,
                       [&](KernelFrame &frame) { unsupported = emitRows(frame, layout, threads); });
  if (!unsupported)
    return success();
  return unsupported->emitError("CUDA kernel @")
         << kernel.getSymName() << " cannot give each "
         << (isa<epi::QuantizeOp>(unsupported) ? "block" : "head") << " of '"
         << unsupported->getName()
         << "' to neighbouring lanes of one warp: it must lie together in its inputs and have at "
            "most 256 elements; outline the operation as a kernel of its own";
}

} // namespace epigraph::cuda
