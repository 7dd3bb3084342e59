// One walk over the sums. Values are ordered as their block computes them: arguments first, then
// operations; what other blocks compute is left alone. Cost: linear.
#include "Passes.h"
#include "passes/PassRemarks.h"

namespace demo {
#define GEN_PASS_DEF_ORDERADDENDSPASS
#include "Passes.h.inc"
} // namespace demo

using namespace mlir;
using epigraph::metric;
using epigraph::reportStatistics;
using epigraph::epi::AddOp;

namespace {

/// Whether `block` has computed `a` before `b`.
bool isOlder(Value a, Value b, Block *block) {
  if (a.getParentBlock() != block || b.getParentBlock() != block)
    return false;
  Operation *first = a.getDefiningOp(), *second = b.getDefiningOp();
  if (first && second)
    return first->isBeforeInBlock(second);
  if (!first && !second)
    return cast<BlockArgument>(a).getArgNumber() < cast<BlockArgument>(b).getArgNumber();
  return !first;
}

struct OrderAddendsPass : demo::impl::OrderAddendsPassBase<OrderAddendsPass> {
  using OrderAddendsPassBase::OrderAddendsPassBase;

  void runOnOperation() override {
    int64_t swapped = 0;
    getOperation()->walk([&](AddOp add) {
      bool equalTypes = add.getLhs().getType() == add.getRhs().getType();
      if (!equalTypes || !isOlder(add.getLhs(), add.getRhs(), add->getBlock()))
        return;
      if (limit >= 0 && swapped == limit)
        return;
      add->setOperands({add.getRhs(), add.getLhs()});
      ++swapped;
    });
    reportStatistics(*this, getOperation()) << metric("swapped", swapped);
  }
};

} // namespace
