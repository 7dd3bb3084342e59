// Anchored at the projection: from its result, operations are taken along while each has one user
// and that is one that works element by element. The projection sinks to where the last of them
// stands. Cost: linear, but for chains of sums, which are short.
#include "dialects/ep/Ep.h"
#include "passes/PassRemarks.h"
#include "passes/graph/FusionGroup.h"
#include "passes/graph/Passes.h"
#include "passes/graph/RowGroup.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSELINEAREPILOGUEPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-linear-epilogue";

bool isProjection(Operation *op) {
  return isa_and_nonnull<epi::LinearOp, epi::HeadLinearOp, epi::GroupedLinearOp>(op);
}

/// The only user of `op`'s result, if there is one and it stands in the same block.
Operation *onlyUser(Operation *op) {
  if (!op->hasOneUse())
    return nullptr;
  Operation *user = *op->user_begin();
  return user->getBlock() == op->getBlock() ? user : nullptr;
}

bool isSumOrProduct(Operation *op) { return isa<epi::AddOp, epi::MulOp>(op); }

epi::Broadcast broadcastOf(Operation *op) {
  if (auto add = dyn_cast<epi::AddOp>(op))
    return add.getBroadcast();
  return cast<epi::MulOp>(op).getBroadcast();
}

/// The factor or summand of `op` that is not `value`.
Value otherOperand(Operation *op, Value value) {
  return op->getOperand(0) == value ? op->getOperand(1) : op->getOperand(0);
}

/// Whether `op` could follow a projection whose result, or what was made of it, is `value`. Says
/// why not, or nothing where it is no matter of elements.
bool fitsEpilogue(Operation *op, Value value, StringRef *why = nullptr) {
  auto refuse = [&](StringRef reason) {
    if (why)
      *why = reason;
    return false;
  };
  if (isa<epi::SiluOp, epi::SigmoidOp, epi::CastOp>(op))
    return true;
  if (!isSumOrProduct(op))
    return false;
  switch (broadcastOf(op)) {
  case epi::Broadcast::Rows:
    return refuse("the other operand holds one value for each row");
  case epi::Broadcast::Columns:
    return op->getOperand(0) == value; // Else the projection gives the vector.
  case epi::Broadcast::None:
    break;
  }
  Operation *other = otherOperand(op, value).getDefiningOp();
  if (other && (isa<epi::ExpertsOp>(other) || isa<ep::EpDialect>(other->getDialect())))
    return refuse("the projection would wait for the exchange that gives the other operand");
  return true;
}

/// Whether `value` is what a projection gives, or a chain behind it that ends here.
bool endsProjection(Value value) {
  Operation *op = value.getDefiningOp();
  for (; op && value.hasOneUse(); op = value.getDefiningOp()) {
    if (isProjection(op))
      return true;
    if (op->getNumOperands() == 0 || !fitsEpilogue(op, op->getOperand(0)))
      return false;
    value = op->getOperand(0);
  }
  return false;
}

/// Whether `sum` is better taken by the norm that reads it: see the pass's description.
bool belongsToNorm(epi::AddOp sum) {
  bool feedsNorm = llvm::any_of(sum->getUsers(), [&](Operation *user) {
    auto norm = dyn_cast<epi::RmsNormOp>(user);
    return norm && norm.getX() == sum.getResult() && norm->getBlock() == sum->getBlock();
  });
  if (feedsNorm)
    return sum->hasOneUse() || !(endsProjection(sum.getLhs()) || endsProjection(sum.getRhs()));
  auto outer = dyn_cast_or_null<epi::AddOp>(onlyUser(sum));
  return outer && outer.getBroadcast() == epi::Broadcast::None && belongsToNorm(outer);
}

/// What `op` does to the projection's result, as a part of the group's name.
StringRef roleOf(Operation *op) {
  if (!isSumOrProduct(op))
    return op->getName().stripDialect();
  bool columns = broadcastOf(op) == epi::Broadcast::Columns;
  if (isa<epi::AddOp>(op))
    return columns ? "bias" : "residual";
  return columns ? "scale" : "mul";
}

/// The operations that can be fused with `projection`, in order.
SmallVector<Operation *> collectEpilogue(Operation *projection) {
  SmallVector<Operation *> chain;
  for (Operation *last = projection;;) {
    Operation *next = onlyUser(last);
    auto sum = dyn_cast_or_null<epi::AddOp>(next);
    if (!next || (sum && sum.getBroadcast() == epi::Broadcast::None && belongsToNorm(sum)))
      return chain;
    StringRef why;
    if (!fitsEpilogue(next, last->getResult(0), &why)) {
      if (!why.empty())
        reportMissed(kPass, next, why);
      return chain;
    }
    chain.push_back(next);
    last = next;
  }
}

struct FuseLinearEpiloguePass : epigraph::impl::FuseLinearEpiloguePassBase<FuseLinearEpiloguePass> {
  void runOnOperation() override {
    numGroups = numOps = numBytes = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      SmallVector<Operation *> projections;
      for (Operation &op : function.getOps())
        if (isProjection(&op))
          projections.push_back(&op);
      for (Operation *projection : projections)
        if (SmallVector<Operation *> chain = collectEpilogue(projection); !chain.empty())
          fuse(projection, chain);
    }
    reportStatistics(*this, getOperation())
        << metric("groups", numGroups) << metric("ops", numOps) << metric("row-bytes", numBytes);
  }

  void fuse(Operation *projection, ArrayRef<Operation *> chain) {
    SmallVector<Operation *> members{projection};
    std::string name = projection->getName().stripDialect().str();
    for (Operation *op : chain) {
      numBytes += 2 * bytesOfRow(members.back()->getResult(0).getType());
      members.push_back(op);
      name += "_" + roleOf(op).str();
    }
    Operation *last = members.back();
    OpBuilder builder(last);
    auto group = formFusionGroup(builder, name, members, last->getResult(0));
    last->getResult(0).replaceAllUsesWith(group.getResult(0));
    for (Operation *op : llvm::reverse(members))
      op->erase();
    ++numGroups;
    numOps += members.size();
  }

  size_t numGroups = 0, numOps = 0, numBytes = 0;
};

} // namespace
