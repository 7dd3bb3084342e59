// Greedy by size, best fit (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
// Inference", 2020): the largest value first, each into the smallest gap that holds it among the
// values that it lives with and that are placed already, or behind them. Ties go in program order,
// so that the plan is reproducible. Cost: quadratic in values. The optimum is NP-hard; on
// straight-line graphs this is within a few percent of it.
#include "passes/PassRemarks.h"
#include "passes/schedule/MemoryPlan.h"
#include "passes/schedule/Passes.h"

#include "mlir/IR/Builders.h"

namespace epigraph {
#define GEN_PASS_DEF_PLANMEMORYPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

struct PlacedValue {
  const PlannedValue *value;
  int64_t offset;

  int64_t getEnd() const { return offset + value->bytes; }
};

/// The best offset for `value` beside `placed`, which is ordered by offset.
int64_t findOffset(const PlannedValue &value, ArrayRef<PlacedValue> placed) {
  int64_t end = 0; // of the conflicting values seen so far
  int64_t best = -1, bestGap = std::numeric_limits<int64_t>::max();
  for (const PlacedValue &other : placed) {
    if (!value.livesWith(*other.value))
      continue;
    int64_t gap = other.offset - end;
    if (gap >= value.bytes && gap < bestGap) {
      best = end;
      bestGap = gap;
    }
    end = std::max(end, other.getEnd());
  }
  return best >= 0 ? best : end;
}

/// Offsets of `values`, all of them, ordered by offset.
SmallVector<PlacedValue> placeValues(ArrayRef<PlannedValue> values) {
  SmallVector<const PlannedValue *> order;
  for (const PlannedValue &value : values)
    order.push_back(&value);
  // They lie in one array in program order, which decides between equals.
  llvm::sort(order,
             [](auto *a, auto *b) { return a->bytes != b->bytes ? a->bytes > b->bytes : a < b; });

  SmallVector<PlacedValue> placed;
  for (const PlannedValue *value : order) {
    PlacedValue place{value, findOffset(*value, placed)};
    auto position =
        llvm::upper_bound(placed, place, [](const PlacedValue &a, const PlacedValue &b) {
          return a.offset < b.offset;
        });
    placed.insert(position, place);
  }
  return placed;
}

struct PlanMemoryPass : epigraph::impl::PlanMemoryPassBase<PlanMemoryPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal() && (failed(plan(function)) || failed(verifyMemoryPlan(function))))
        return signalPassFailure();
  }

  LogicalResult plan(func::FuncOp function) {
    FailureOr<RowExtents> extents = RowExtents::compute(function);
    if (failed(extents))
      return failure();
    SmallVector<PlannedValue> values = collectPlannedValues(function, *extents);
    int64_t peak = 0, naive = 0;
    llvm::DenseMap<Value, exec::BufferAttr> buffers;
    for (const PlacedValue &place : placeValues(values)) {
      buffers[place.value->value] =
          exec::BufferAttr::get(&getContext(), place.offset, extents->maxBytes(place.value->value));
      peak = std::max(peak, place.getEnd());
      naive += place.value->bytes;
    }
    annotate(function, buffers, peak);
    reportStatistics(*this, function) << metric("buffers", values.size())
                                      << metric("peak-bytes", peak) << metric("naive-bytes", naive);
    return success();
  }

  void annotate(func::FuncOp function, const llvm::DenseMap<Value, exec::BufferAttr> &buffers,
                int64_t peak) {
    Builder builder(&getContext());
    for (Operation &op : function.getOps()) {
      SmallVector<Attribute> ofResults;
      for (Value result : op.getResults())
        if (auto buffer = buffers.lookup(result))
          ofResults.push_back(buffer);
      if (!ofResults.empty())
        op.setAttr(exec::kBuffersAttrName, builder.getArrayAttr(ofResults));
    }
    function->setAttr(exec::kArenaBytesAttrName, builder.getI64IntegerAttr(peak));
  }
};

} // namespace
