// First each reduction by itself, by the length of its message; then the gathers that this made are
// moved down, one operation at a time, as long as all that uses a gathered value works row by row.
// A gather ends where the whole value is needed, or where it would become two. Cost: linear in
// operations and their uses.
#include "passes/PassRemarks.h"
#include "passes/partition/LinkCost.h"
#include "passes/partition/Passes.h"
#include "passes/partition/PendingExperts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace epigraph {
#define GEN_PASS_DEF_CHOOSECOLLECTIVESPASS
#include "passes/partition/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "ep-choose-collectives";

bool hasRows(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 0 && type.isDynamicDim(0);
}

/// Whether row i of the result of `op`, its only one, depends on row i of its operands alone.
bool isRowWise(Operation *op) {
  if (auto fused = dyn_cast<epi::FusedOp>(op))
    return llvm::all_of(fused.getBody().front().without_terminator(),
                        [](Operation &inner) { return isRowWise(&inner); });
  return isa<epi::AddOp, epi::MulOp, epi::SiluOp, epi::SigmoidOp, epi::SoftmaxOp,
             epi::ClampedSwigluOp, epi::CastOp, epi::RmsNormOp>(op);
}

struct ChooseCollectivesPass : epigraph::impl::ChooseCollectivesPassBase<ChooseCollectivesPass> {
  using ChooseCollectivesPassBase::ChooseCollectivesPassBase;

  void runOnOperation() override {
    numReduced = numScattered = numSunk = 0;
    auto module = getOperation();
    target = module->getAttrOfType<exec::TargetAttr>(exec::kTargetAttrName);
    limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
    for (auto mesh : module.getOps<ep::MeshOp>())
      for (auto function : module.getOps<func::FuncOp>())
        choose(function, mesh);
    reportStatistics(*this, module)
        << metric("all-reduces", numReduced) << metric("reduce-scatters", numScattered)
        << metric("sunk-past", numSunk);
  }

  void choose(func::FuncOp function, ep::MeshOp mesh) {
    SmallVector<ep::AllGatherOp> gathers;
    for (auto reduce : llvm::make_early_inc_range(function.getOps<ep::AllReduceOp>())) {
      if (!canScatter(reduce, mesh) || !isLong(reduce, mesh)) {
        ++numReduced;
        continue;
      }
      gathers.push_back(scatter(reduce));
      ++numScattered;
    }
    // A gather may be moved to operations that stand before later ones: in order, each to its end.
    llvm::SmallDenseSet<Operation *> known;
    for (ep::AllGatherOp gather : gathers)
      known.insert(gather);
    for (size_t i = 0; i < gathers.size(); ++i)
      if (known.contains(gathers[i]))
        sink(gathers[i], gathers, known);
    for (Operation *gather : known)
      if (gather->use_empty())
        gather->erase();
  }

  /// Ranks that share out rows must have the same ones, all rows of the batch.
  bool canScatter(ep::AllReduceOp reduce, ep::MeshOp mesh) {
    if (reduce.getToken() || mesh.getSize(reduce.getAxis()) < 2 || !hasRows(reduce.getX()))
      return false;
    if (reduce.getAxis() == ep::Axis::Expert && mesh.getAttention() == ep::AttentionMode::Data)
      return false;
    return hasAllTokens(reduce.getX());
  }

  /// Whether `value` has a row for each token of the batch: not for each output row, share, or row
  /// that an expert got. Followed back through operations that keep rows.
  static bool hasAllTokens(Value value) {
    while (Operation *op = value.getDefiningOp()) {
      if (isa<ep::AllGatherOp>(op))
        return true;
      if (isa<epi::OutputRowsOp, epi::PermuteOp, epi::UnpermuteOp, epi::HalveRowsOp,
              ep::ShardRowsOp, ep::ReduceScatterOp, ep::DispatchOp, ep::ScatterExpertsOp,
              ep::GatherExpertsOp>(op))
        return false;
      auto combine = dyn_cast<ep::CombineOp>(op);
      auto operand = combine ? &combine.getWeightsMutable()
                             : llvm::find_if(op->getOpOperands(),
                                             [](OpOperand &each) { return hasRows(each.get()); });
      if (!combine && operand == op->getOpOperands().end())
        return false;
      value = operand->get();
    }
    return true; // an argument
  }

  /// Whether the two halves of the largest step's reduction take less time than the whole.
  bool isLong(ep::AllReduceOp reduce, ep::MeshOp mesh) {
    auto type = cast<RankedTensorType>(reduce.getType(0));
    if (threshold >= 0)
      return limits && bytesOfRows(type, limits.getBatchTokens()) >= static_cast<double>(threshold);
    if (!target || !limits)
      return false;
    double bytes = bytesOfRows(type, limits.getBatchTokens());
    LinkCost links(target, mesh.getSize(reduce.getAxis()));
    double apart = links.reduceScatter(bytes) + links.allGather(bytes) - savedBelow(reduce, mesh);
    if (apart < links.allReduce(bytes))
      return true;
    reportMissed(kPass, reduce, "the message is short");
    return false;
  }

  /// Nanoseconds that row-wise operations after `reduce` save when each rank does its share of
  /// their rows: reading their operands and writing their results.
  double savedBelow(ep::AllReduceOp reduce, ep::MeshOp mesh) {
    double bytes = 0;
    Value value = reduce.getResult();
    while (value.hasOneUse()) {
      Operation *user = *value.getUsers().begin();
      if (!isRowWise(user) || user->getNumResults() != 1)
        break;
      for (Value operand : user->getOperands())
        if (hasRows(operand))
          bytes += bytesOfRows(cast<RankedTensorType>(operand.getType()), limits.getBatchTokens());
      value = user->getResult(0);
      bytes += bytesOfRows(cast<RankedTensorType>(value.getType()), limits.getBatchTokens());
    }
    double parts = static_cast<double>(mesh.getSize(reduce.getAxis()));
    return bytes * (1 - 1 / parts) / target.getMemoryGbps().getValueAsDouble();
  }

  ep::AllGatherOp scatter(ep::AllReduceOp reduce) {
    OpBuilder builder(reduce);
    Location loc = reduce.getLoc();
    auto part =
        ep::ReduceScatterOp::create(builder, loc, reduce.getX(), kMeshName, reduce.getAxis());
    auto gather =
        ep::AllGatherOp::create(builder, loc, part.getResult(), kMeshName, reduce.getAxis());
    reduce.getResult().replaceAllUsesWith(gather.getResult());
    reduce.erase();
    return gather;
  }

  /// Moves `gather` behind its users, if all of them work row by row and no more rows are gathered
  /// after: each user then has its own gather, unless its other users take shares too.
  void sink(ep::AllGatherOp gather, SmallVectorImpl<ep::AllGatherOp> &gathers,
            llvm::SmallDenseSet<Operation *> &known) {
    llvm::SetVector<Operation *> users(gather.getResult().getUsers().begin(),
                                       gather.getResult().getUsers().end());
    if (users.empty() || !llvm::all_of(users, [](Operation *user) {
          return isRowWise(user) && user->getNumResults() == 1;
        }))
      return;
    // Two users give two gathers: only worth it where the others take part already.
    size_t taken = 0;
    for (Operation *user : users)
      taken += llvm::any_of(user->getOperands(), [&](Value operand) {
        auto other = operand.getDefiningOp<ep::AllGatherOp>();
        return other && other != gather && known.contains(other);
      });
    if (users.size() > taken + 1)
      return;
    for (Operation *user : users)
      shareWork(user, gather.getAxis(), gathers, known);
    numSunk += users.size();
    if (gather->use_empty()) {
      known.erase(gather);
      gather.erase();
    }
  }

  /// `user` works on this rank's share of rows; what uses its result gets all of them.
  void shareWork(Operation *user, ep::Axis axis, SmallVectorImpl<ep::AllGatherOp> &gathers,
                 llvm::SmallDenseSet<Operation *> &known) {
    OpBuilder builder(user);
    for (OpOperand &operand : user->getOpOperands()) {
      if (!hasRows(operand.get()))
        continue;
      auto gathered = operand.get().getDefiningOp<ep::AllGatherOp>();
      operand.set(
          gathered && gathered.getAxis() == axis
              ? gathered.getX()
              : ep::ShardRowsOp::create(builder, user->getLoc(), operand.get(), kMeshName, axis)
                    .getResult());
    }
    builder.setInsertionPointAfter(user);
    auto gather =
        ep::AllGatherOp::create(builder, user->getLoc(), user->getResult(0), kMeshName, axis);
    user->getResult(0).replaceAllUsesExcept(gather.getResult(), gather);
    gathers.push_back(gather);
    known.insert(gather);
  }

  exec::TargetAttr target;
  exec::LimitsAttr limits;
  size_t numReduced = 0, numScattered = 0, numSunk = 0;
};

} // namespace
