// List scheduling of the whole function (Timeline.h): what a collective under way does not need
// runs before what needs it. The new order is taken where the estimate says that it is faster than
// the old one. The order is the same on every rank, for all see the same IR, so that collectives
// still meet.
#include "passes/PassRemarks.h"
#include "passes/schedule/Passes.h"
#include "passes/schedule/Timeline.h"
#include "passes/schedule/UnderWay.h"

namespace epigraph {
#define GEN_PASS_DEF_OVERLAPPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

/// The least numbers of `order` that have to move so that it becomes ascending: all but those of a
/// longest ascending subsequence.
size_t countMoved(ArrayRef<unsigned> order) {
  SmallVector<unsigned> tails; // the least last number of an ascending subsequence of each length
  for (unsigned index : order) {
    auto *at = llvm::lower_bound(tails, index);
    if (at == tails.end())
      tails.push_back(index);
    else
      *at = index;
  }
  return order.size() - tails.size();
}

/// Operations that take no time and stay in front of the first that needs them.
bool isFree(Operation *op) { return isa<exec::LoadWeightOp, epi::KvCacheOp>(op); }

struct OverlapPass : epigraph::impl::OverlapPassBase<OverlapPass> {
  void runOnOperation() override {
    numMoved = hiddenNs = exchangeNs = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(overlap(function)))
        return signalPassFailure();
    reportStatistics(*this, getOperation())
        << metric("moved", numMoved) << metric("exchange-ns", static_cast<int64_t>(exchangeNs))
        << metric("hidden-ns", static_cast<int64_t>(hiddenNs));
  }

  LogicalResult overlap(func::FuncOp function) {
    SmallVector<Operation *> ops;
    bool anyStarts = false;
    for (Operation &op : function.getOps()) {
      if (isa<ep::WaitOp>(op))
        return op.emitOpError("is in the way of --ep-overlap, which runs before waits are inserted "
                              "(--exec-insert-waits)");
      if (!isFree(&op) && !op.hasTrait<OpTrait::IsTerminator>())
        ops.push_back(&op);
      anyStarts |= static_cast<bool>(tokenOf(&op));
    }
    if (!anyStarts)
      return success();
    auto limits = function->getParentOfType<ModuleOp>()->getAttrOfType<exec::LimitsAttr>(
        exec::kLimitsAttrName);
    FailureOr<StepCosts> costs = StepCosts::compute(function, limits ? limits.getBatchTokens() : 1);
    if (failed(costs))
      return failure();
    SmallVector<TimedStep> steps = stepsOf(ops, *costs);
    auto inOrder = llvm::to_vector(llvm::seq<unsigned>(0, steps.size()));
    SmallVector<unsigned> order = scheduleSteps(steps);
    double before = timeOf(steps, inOrder), after = timeOf(steps, order);
    if (after < before)
      move(function, ops, order);
    for (const TimedStep &step : steps)
      exchangeNs += step.kind == TimedStep::Kind::Compute ? 0 : step.ns;
    hiddenNs += timeWithoutOverlap(steps) - std::min(before, after);
    return success();
  }

  /// Brings `ops` into `order`.
  void move(func::FuncOp function, ArrayRef<Operation *> ops, ArrayRef<unsigned> order) {
    Operation *end = function.getBody().front().getTerminator();
    llvm::DenseSet<Operation *> placed;
    for (unsigned index : order) {
      for (Value operand : ops[index]->getOperands())
        if (Operation *giver = operand.getDefiningOp(); giver && isFree(giver))
          if (placed.insert(giver).second)
            giver->moveBefore(end);
      ops[index]->moveBefore(end);
    }
    numMoved += countMoved(order);
  }

  size_t numMoved = 0;
  double hiddenNs = 0, exchangeNs = 0;
};

} // namespace
