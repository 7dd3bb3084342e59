// Fused row groups: any body of elementwise operations, rms_norm, softmax, quantize, concat,
// unpermute and views.
//
// A row has a warp or less if it is short, else a block; threads share out its chunks
// (RowChunks.h). First comes what needs the whole row, in the order of the body: the sums of each
// norm and softmax, and the single values that meet a whole row; then each result. Values stay in
// registers from the sums to the results, so a row is read once. A row of which no value needs the
// whole is shared out to several blocks. Values are rounded to bf16 exactly where their types say
// so.
//
// Rotations and an append may be among the operations. Results that have no operation in common
// then have blocks of their own (RowShares.h), and where the row's token is, is known before the
// kernel before has ended.
#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/PagedCache.h"
#include "codegen/cuda/RowPrefetch.h"
#include "codegen/cuda/RowShares.h"
#include "codegen/target/Elementwise.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Up to so many rows there are multiprocessors for a cluster each.
constexpr int64_t kFewRows = 32;
/// Elements of a rotated head are so many, or a multiple: no chunk has elements of both halves.
constexpr int64_t kRotatedMultiple = 16;

bool hasRows(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 0 && type.isDynamicDim(0);
}

LogicalResult cannotRotate(exec::KernelOp kernel, epi::RopeOp rope) {
  return rope.emitError("CUDA kernel @")
         << kernel.getSymName()
         << " cannot rotate its heads among other operations: each must lie together in its "
            "inputs, "
            "be rotated as a whole and have a multiple of 16 elements; outline the rotation as a "
            "kernel of its own";
}

/// What tokens have in common: the table of a rotation, the cache of an append, the step.
bool isShared(OpOperand &operand) {
  Operation *op = operand.getOwner();
  return !isa<RankedTensorType>(operand.get().getType()) ||
         (isa<epi::RopeOp>(op) && operand.get() == cast<epi::RopeOp>(op).getTable());
}

LogicalResult checkTypes(exec::KernelOp kernel) {
  for (Operation &op : kernel.getBody().front())
    for (OpOperand &operand : op.getOpOperands()) {
      if (isShared(operand))
        continue;
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

/// Rotations and appends that are no kernels of their own.
LogicalResult checkTokenOps(KernelAssembly &assembly) {
  for (Operation &op : assembly.kernel.getBody().front()) {
    if (auto rope = dyn_cast<epi::RopeOp>(op)) {
      FailureOr<TensorView> table = assembly.view(rope, rope.getTable(), "table");
      if (failed(table))
        return failure();
      if (table->shape.back() != periodOf(op) || periodOf(op) % kRotatedMultiple)
        return cannotRotate(assembly.kernel, rope);
    }
    auto append = dyn_cast<epi::KvAppendOp>(op);
    if (append && !isa<BlockArgument>(append.getCache()))
      return append.emitError("the cache of CUDA kernel @")
             << assembly.kernel.getSymName() << " must be an argument";
    if (append && failed(assembly.yieldedAs(append, append.getResult())))
      return failure();
  }
  return success();
}

/// An epi.unpermute reads rows of other tokens than its own, which must be in memory.
LogicalResult checkRowsInPlace(KernelAssembly &assembly) {
  for (auto op : assembly.kernel.getBody().front().getOps<epi::UnpermuteOp>())
    if (failed(assembly.view(op, op.getRows(), "rows")) ||
        failed(assembly.view(op, op.getSlots(), "slots")) ||
        failed(assembly.view(op, op.getWeights(), "weights")))
      return failure();
  return success();
}

/// Emits the kernel.
class RowEmission {
public:
  RowEmission(KernelFrame &frame, RowLayout &layout, const RowPlan &plan)
      : frame(frame), e(frame.e), layout(layout), plan(plan) {}

  /// The operation that cannot be computed, or null.
  Operation *emit() {
    prefetchVectors(frame, plan.threads);
    // All blocks must be running before others write to their memory.
    if (plan.isClustered())
      clusterMeet(e);
    first = e.blockId();
    thread = e.threadId();
    if (plan.columns > 1) {
      thread = thread + first % plan.columns * plan.threads;
      first = first / plan.columns;
    }
    first = first * plan.rows;
    // What the host says of a step is there before its first kernel.
    if (plan.ofTokens) {
      findRow();
      findToken();
    }
    e.allowNext();
    e.waitForPrevious();
    if (!plan.ofTokens)
      findRow();
    e.ifThen(first < rows, [&] { emitShares(); });
    return unsupported;
  }

private:
  void findRow() {
    rows = frame.rows();
    row = first;
    if (plan.rows == 1)
      return;
    const int64_t ofRow = plan.threads / plan.rows;
    thread = e.threadId() % ofRow;
    row = first + e.threadId() / ofRow;
    exists = row < rows;
    row = e.minimum(row, rows - 1);
  }

  /// Where the row's token is, and where the threads that append store it.
  void findToken() {
    token.position = positionOfToken(frame, e.maximum(e.minimum(row, rows - 1), e.i32(0)));
    prefetchAngles();
    Val appends = e.boolean(false);
    for (const RowShare &share : plan.shares)
      if (share.appends())
        appends = e.logicalOr(appends, isIn(share));
    token.slot = e.ifValues(
        e.logicalAnd(first < rows, appends),
        [&]() -> Vals { return {slotOfToken(frame, row, token.position)}; },
        [&]() -> Vals { return {e.i64(0)}; })[0];
  }

  /// Fetches the line of each table that the token needs.
  void prefetchAngles() {
    llvm::SmallSetVector<Value, 2> tables;
    for (auto rope : frame.kernel.getBody().front().getOps<epi::RopeOp>())
      tables.insert(rope.getTable());
    for (Value value : tables) {
      const TensorView &table = *layout.viewOf(value);
      const int64_t bytes = table.shape.back() * static_cast<int64_t>(sizeof(float));
      Val isOurs = e.threadId() < llvm::divideCeil(bytes, kCacheLine);
      e.ifThen(e.logicalAnd(first < rows, isOurs), [&] {
        Val line = e.at(frame.rowAddress(table, e.i32(0)), token.position, bytes);
        prefetchLine(e.at(line, e.threadId(), kCacheLine));
      });
    }
  }

  /// i1: whether this thread is one of the share's.
  Val isIn(const RowShare &share) {
    return e.logicalAnd(thread >= share.begin, thread < share.begin + share.threads.ofRow);
  }

  void emitShares() {
    if (!plan.ofTokens)
      return emitShare(plan.shares.front());
    for (const RowShare &share : plan.shares)
      e.ifThen(isIn(share), [&] { emitShare(share); });
  }

  void emitShare(const RowShare &share) {
    RowEvaluator evaluator(frame, layout, share.threads, share.period(), row, exists,
                           thread - share.begin, token);
    for (Operation &op : frame.kernel.getBody().front())
      if (share.ops.contains(&op))
        evaluator.prepare(op);
    for (const RowSink &sink : share.sinks)
      sink.store(evaluator);
    if (evaluator.unsupported())
      unsupported = evaluator.unsupported();
  }

  KernelFrame &frame;
  Emitter &e;
  RowLayout &layout;
  const RowPlan &plan;
  /// The block's first row, the launch's rows, this thread's row (and whether it exists, or null),
  /// the thread among those of the row.
  Val first, rows, row, exists, thread;
  TokenPlace token;
  Operation *unsupported = nullptr;
};

LogicalResult addRows(KernelAssembly &assembly, RowLayout &layout, const RowPlan &plan,
                      StringRef suffix) {
  exec::KernelOp kernel = assembly.kernel;
  FunctionSpec spec;
  spec.suffix = suffix.str();
  spec.threads = plan.threads;
  spec.rowTile = plan.rows;
  spec.columnTiles = plan.columns;
  if (plan.isClustered())
    spec.cluster = plan.columns;
  for (const RowShare &share : plan.shares)
    spec.sharedBytes = std::max(spec.sharedBytes, sharedBytesOf(kernel, share.threads));
  Operation *unsupported = nullptr;
  assembly.addFunction(
      spec, [&](KernelFrame &frame) { unsupported = RowEmission(frame, layout, plan).emit(); });
  if (!unsupported)
    return success();
  if (auto rope = dyn_cast<epi::RopeOp>(unsupported))
    return cannotRotate(kernel, rope);
  return reportCrossed(kernel, unsupported);
}

} // namespace

LogicalResult buildRows(KernelAssembly &assembly) {
  exec::KernelOp kernel = assembly.kernel;
  if (failed(checkTypes(kernel)) || failed(checkTokenOps(assembly)) ||
      failed(checkRowsInPlace(assembly)))
    return failure();
  RowLayout layout;
  const RowPlan plan = planRows(kernel, layout);
  const std::optional<RowPlan> few = planFewRows(plan, layout);
  if (!few)
    return addRows(assembly, layout, plan, "");
  assembly.beginVariant(kFewRows);
  if (failed(addRows(assembly, layout, *few, "few")))
    return failure();
  assembly.beginVariant();
  return addRows(assembly, layout, plan, "many");
}

} // namespace epigraph::cuda
