#include "codegen/cuda/RowShares.h"

#include "llvm/Support/MathExtras.h"

#include <utility>

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kWarp = 32;

/// Inserts the operations that `value` is computed by, operands first.
void collectOps(Value value, llvm::SmallSetVector<Operation *, 8> &ops) {
  Operation *op = value.getDefiningOp();
  if (!op || ops.contains(op))
    return;
  for (Value operand : op->getOperands())
    collectOps(operand, ops);
  if (!isa<epi::SplitOp, epi::ReshapeOp>(op))
    ops.insert(op);
}

SmallVector<RowSink> sinksOf(exec::KernelOp kernel) {
  SmallVector<RowSink> sinks;
  for (OpOperand &yielded : kernel.getBody().front().getTerminator()->getOpOperands()) {
    auto append = yielded.get().getDefiningOp<epi::KvAppendOp>();
    if (!append) {
      sinks.push_back({yielded.get(), yielded.getOperandNumber(), {}, 0});
      continue;
    }
    sinks.push_back({append.getFirst(), 0, append, 0});
    sinks.push_back({append.getSecond(), 0, append, RowLayout::elementsOf(append.getFirst())});
  }
  return sinks;
}

/// Adds `sink` to `shares`: with all of them that it has an operation in common with.
void addSink(SmallVectorImpl<RowShare> &shares, const RowSink &sink) {
  RowShare joined{{}, {}, RowThreads(1, true)};
  collectOps(sink.value, joined.ops);
  SmallVector<RowShare> others;
  for (RowShare &share : shares) {
    if (llvm::none_of(joined.ops, [&](Operation *op) { return share.ops.contains(op); })) {
      others.push_back(std::move(share));
      continue;
    }
    llvm::append_range(joined.sinks, share.sinks);
    joined.ops.insert_range(share.ops);
  }
  joined.sinks.push_back(sink);
  others.push_back(std::move(joined));
  shares = std::move(others);
}

/// The value whose chunks are walked over to compute `stored`.
Value walkedFor(Value stored) {
  auto quantize = stored.getDefiningOp<epi::QuantizeOp>();
  return quantize ? quantize.getX() : stored;
}

/// Slots of the longest run that is walked over for `share`.
int64_t mostSlots(const RowShare &share, RowLayout &layout) {
  const int64_t common = share.period();
  int64_t most = 1;
  auto walk = [&](Value value) {
    const int64_t period = common ? common : periodOf(value);
    for (const Run &run : layout.runsOf(value, period))
      most = std::max(most, ChunkGrid(run, period != 0).slots());
  };
  for (Operation *op : share.ops)
    if (cuda::needsWholeRow(*op))
      walk(op->getOperand(0));
  for (const RowSink &sink : share.sinks)
    walk(walkedFor(sink.value));
  return most;
}

/// Gives each share threads. Those that meet in barriers have whole blocks; of the others, each has
/// whole warps, one thread for each chunk where no value needs the whole row.
void shareThreads(RowPlan &plan, RowLayout &layout) {
  SmallVector<RowShare *> ofBlock, ofWarps;
  int64_t packed = 0;
  plan.threads = 0;
  for (RowShare &share : plan.shares) {
    const int64_t slots = mostSlots(share, layout);
    share.threads = RowThreads(slots, !share.needsWholeRow());
    share.threads.rows = share.threads.columns = 1;
    if (share.needsWholeRow() && !share.threads.isWarp()) {
      plan.threads = std::max(plan.threads, share.threads.ofRow);
      ofBlock.push_back(&share);
      continue;
    }
    share.threads.ofRow =
        static_cast<int64_t>(llvm::alignTo(share.needsWholeRow() ? 1 : slots, kWarp));
    packed += share.threads.ofRow;
    ofWarps.push_back(&share);
  }
  if (ofBlock.empty())
    plan.threads = std::min(packed, RowThreads::kThreads);
  int64_t begin = 0;
  for (RowShare *share : ofBlock) {
    share->threads.ofRow = plan.threads;
    share->begin = std::exchange(begin, begin + plan.threads);
  }
  for (RowShare *share : ofWarps)
    share->begin = std::exchange(begin, begin + share->threads.ofRow);
  plan.columns = llvm::divideCeil(begin, plan.threads);
}

/// Gives the only share of `plan` its threads, which are those of its blocks.
void setThreads(RowPlan &plan, const RowThreads &threads) {
  plan.shares.front().threads = threads;
  plan.threads = threads.ofBlock();
  plan.rows = threads.rows;
  plan.columns = threads.columns;
}

} // namespace

void RowSink::store(RowEvaluator &evaluator) const {
  append ? evaluator.storeEntry(append, value, entryOffset) : evaluator.store(value, result);
}

bool RowShare::needsWholeRow() const {
  return llvm::any_of(ops, [](Operation *op) { return cuda::needsWholeRow(*op); });
}

bool RowShare::appends() const {
  return llvm::any_of(sinks, [](const RowSink &sink) { return sink.append; });
}

RowPlan planRows(exec::KernelOp kernel, RowLayout &layout) {
  RowPlan plan;
  plan.ofTokens = llvm::any_of(kernel.getBody().front(),
                               [](Operation &op) { return isa<epi::RopeOp, epi::KvAppendOp>(op); });
  if (plan.ofTokens) {
    for (const RowSink &sink : sinksOf(kernel))
      addSink(plan.shares, sink);
    shareThreads(plan, layout);
    return plan;
  }
  RowShare &whole = plan.shares.emplace_back(RowShare{sinksOf(kernel), {}, RowThreads(1, true)});
  for (const RowSink &sink : whole.sinks)
    collectOps(sink.value, whole.ops);
  setThreads(plan, RowThreads(mostSlots(whole, layout), !whole.needsWholeRow()));
  return plan;
}

std::optional<RowPlan> planFewRows(const RowPlan &plan, RowLayout &layout) {
  const RowShare &whole = plan.shares.front();
  if (plan.ofTokens || !whole.needsWholeRow() || whole.threads.isWarp())
    return std::nullopt;
  RowPlan few = plan;
  setThreads(few, RowThreads::ofFew(mostSlots(whole, layout)));
  return few;
}

} // namespace epigraph::cuda
