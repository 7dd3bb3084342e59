// auto: ShardClosure finds the chains between projections; what it cuts changes type in place, the
// weights at both ends are sliced, and each projection that ends a chain gets an all-reduce. The
// other modes look at one projection at a time. Experts are cut in their inner dimension in every
// mode. Sums that meet in an addition are added before they are reduced, so that a layer of experts
// with a shared one reduces once. Cost: linear in the number of operations.
#include "dialects/epi/Verify.h"
#include "passes/PassRemarks.h"
#include "passes/Refusal.h"
#include "passes/graph/WeightExpressions.h"
#include "passes/partition/LinkCost.h"
#include "passes/partition/Passes.h"
#include "passes/partition/PendingExperts.h"
#include "passes/partition/ShardClosure.h"
#include "passes/partition/WeightShards.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace epigraph {
#define GEN_PASS_DEF_PARTITIONTENSORPASS
#include "passes/partition/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "ep-partition-tensor";

/// Tells which numbers divide `size`.
InFlightDiagnostic listDivisors(InFlightDiagnostic diagnostic, int64_t size) {
  SmallVector<int64_t> divisors;
  for (int64_t divisor = 1; divisor <= size; ++divisor)
    if (size % divisor == 0)
      divisors.push_back(divisor);
  llvm::interleaveComma(divisors, diagnostic);
  return diagnostic;
}

/// Moves reductions behind the additions in which they meet.
unsigned mergeReductions(func::FuncOp function) {
  unsigned merged = 0;
  for (auto add : llvm::make_early_inc_range(function.getOps<epi::AddOp>())) {
    auto lhs = add.getLhs().getDefiningOp<ep::AllReduceOp>();
    auto rhs = add.getRhs().getDefiningOp<ep::AllReduceOp>();
    if (!lhs || !rhs || lhs == rhs || !lhs->hasOneUse() || !rhs->hasOneUse() ||
        lhs.getAxis() != rhs.getAxis())
      continue;
    OpBuilder builder(add);
    auto sum = epi::AddOp::create(builder, add.getLoc(), add.getType(), lhs.getX(), rhs.getX());
    auto reduced = ep::AllReduceOp::create(builder, add.getLoc(), sum, kMeshName, lhs.getAxis());
    add.replaceAllUsesWith(reduced.getResult());
    add.erase();
    lhs.erase();
    rhs.erase();
    ++merged;
  }
  return merged;
}

struct PartitionTensorPass : epigraph::impl::PartitionTensorPassBase<PartitionTensorPass> {
  using PartitionTensorPassBase::PartitionTensorPassBase;

  void runOnOperation() override {
    numColumn = numRow = num2d = numExperts = numMerged = 0;
    if (failed(check()))
      return signalPassFailure();
    auto builder = OpBuilder::atBlockBegin(getOperation().getBody());
    auto mesh =
        ep::MeshOp::create(builder, getOperation().getLoc(), kMeshName, expert, tensor, attention);
    mesh->setAttr(kPendingExpertsAttrName, builder.getUnitAttr());
    if (tensor > 1 && failed(partition()))
      return signalPassFailure();
    reportStatistics(*this, getOperation())
        << metric("column", numColumn) << metric("row", numRow) << metric("two-dimensional", num2d)
        << metric("experts", numExperts) << metric("merged-reductions", numMerged);
  }

  LogicalResult check() {
    if (tensor < 1 || expert < 1)
      return emitError(getOperation().getLoc(), "there must be at least one rank, got tensor = ")
             << tensor.getValue() << ", expert = " << expert.getValue();
    for (auto mesh : getOperation().getOps<ep::MeshOp>())
      return mesh.emitOpError("is here already: projections are partitioned once, before experts");
    if (mode == TensorMode::TwoDimensional && attention == ep::AttentionMode::Data)
      return emitError(getOperation().getLoc(),
                       "mode=2d needs attention=replicated: with attention=data the groups have "
                       "tokens of their own, and cannot share a projection");
    return success();
  }

  LogicalResult partition() {
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (auto experts : llvm::make_early_inc_range(function.getOps<epi::ExpertsOp>()))
        if (failed(cutExperts(experts)))
          return failure();
    if (mode == TensorMode::Auto) {
      if (failed(cutChains()))
        return failure();
      cutHeads();
    } else {
      forEachLinear([&](epi::LinearOp linear) { cutAlone(linear); });
    }
    for (auto function : getOperation().getOps<func::FuncOp>())
      numMerged += mergeReductions(function);
    return success();
  }

  /// Calls `visit` on the projections by weights, in order. It may replace them.
  template <typename Visit> void forEachLinear(const Visit &visit) {
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (auto linear : llvm::make_early_inc_range(function.getOps<epi::LinearOp>()))
        if (isWeightExpression(linear.getW()))
          visit(linear);
  }

  /// The result of `op` becomes a sum over `axis`: everything else uses the reduced value.
  void reduce(Value partial, ep::Axis axis) {
    OpBuilder builder(partial.getContext());
    builder.setInsertionPointAfterValue(partial);
    auto reduced = ep::AllReduceOp::create(builder, partial.getLoc(), partial, kMeshName, axis);
    partial.replaceAllUsesExcept(reduced.getResult(), reduced);
  }

  void shardOperand(OpOperand &operand, ep::Axis axis, int64_t dim, int64_t parts) {
    OpBuilder builder(operand.getOwner());
    operand.set(shardWeight(builder, operand.get(), axis, dim, parts));
  }

  //===--------------------------------------------------------------------===//
  // Experts
  //===--------------------------------------------------------------------===//

  LogicalResult cutExperts(epi::ExpertsOp experts) {
    int64_t inner = epi::dim(experts.getGate().getType(), 1);
    if (!experts.getBiases().empty()) {
      reportMissed(kPass, experts,
                   "the experts' down projection has a bias, which each rank would add");
      return success();
    }
    if (inner % tensor)
      return listDivisors(refusal(experts.emitOpError("has an inner dimension of ")
                                      << inner << ", which " << tensor.getValue()
                                      << " ranks cannot share equally; choose a number of ranks "
                                         "that divides it: ",
                                  "E0302"),
                          inner);
    shardOperand(experts.getGateMutable(), ep::Axis::Tensor, 1, tensor);
    shardOperand(experts.getUpMutable(), ep::Axis::Tensor, 1, tensor);
    shardOperand(experts.getDownMutable(), ep::Axis::Tensor, 2, tensor);
    reduce(experts.getResult(), ep::Axis::Tensor);
    ++numExperts;
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Chains of projections (auto)
  //===--------------------------------------------------------------------===//

  LogicalResult cutChains() {
    ShardClosure closure(getOperation(), tensor);
    SmallVector<Operation *> attentions;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (Operation &op : function.getOps())
        if (isa<epi::AttentionOp, epi::MlaAttentionOp>(op))
          attentions.push_back(&op);
    for (Operation *op : attentions)
      if (failed(checkHeads(op)) || failed(cutChain(closure, op->getResult(0))))
        return failure();
    LogicalResult result = success();
    forEachLinear([&](epi::LinearOp linear) {
      if (succeeded(result) && !closure.isCut(linear.getResult()) && !closure.isCut(linear.getX()))
        result = cutChain(closure, linear.getResult());
    });
    if (succeeded(result))
      apply(closure);
    return result;
  }

  /// The numbers of heads must let the members of a group share them.
  LogicalResult checkHeads(Operation *op) {
    int64_t heads = epi::dim(op->getResult(0).getType(), 1);
    if (heads % tensor)
      return refuseHeads(op, heads, "heads");
    auto attention = dyn_cast<epi::AttentionOp>(op);
    int64_t cached = attention ? attention.getCache().getType().getHeads() : tensor.getValue();
    if (cached % tensor && tensor % cached)
      return refuseHeads(op, cached, "heads of keys and values");
    return success();
  }

  LogicalResult refuseHeads(Operation *op, int64_t heads, StringRef what) {
    return listDivisors(refusal(op->emitOpError("has ")
                                    << heads << " " << what << ", which " << tensor.getValue()
                                    << " ranks cannot share equally; choose a number of ranks "
                                       "that divides them: ",
                                "E0302"),
                        heads);
  }

  LogicalResult cutChain(ShardClosure &closure, Value seed) {
    ShardClosure::Obstacle obstacle = closure.cut(seed);
    if (!obstacle.op)
      return success();
    if (obstacle.size)
      return listDivisors(
          refusal(obstacle.op->emitOpError("has a dimension of ")
                      << obstacle.size << ", which " << tensor.getValue()
                      << " ranks cannot share equally; choose a number of ranks that divides it: ",
                  "E0302"),
          obstacle.size);
    if (isa<epi::AttentionOp, epi::MlaAttentionOp>(seed.getDefiningOp()))
      reportMissed(kPass, seed.getDefiningOp(),
                   "its heads cannot be shared: " + obstacle.op->getName().getStringRef().str() +
                       ": " + obstacle.reason);
    return success();
  }

  /// Cuts everything that `closure` found.
  void apply(const ShardClosure &closure) {
    SmallVector<epi::LinearOp> ends;
    forEachLinear([&](epi::LinearOp linear) {
      if (closure.isCut(linear.getX()))
        ends.push_back(linear);
    });
    for (auto [value, parts] : closure.getParts())
      cutWeightsOf(value, parts);
    for (auto [value, parts] : closure.getParts())
      value.setType(cutType(value.getType(), parts));
    for (auto [value, parts] : closure.getParts())
      if (auto linear = value.getDefiningOp<epi::LinearOp>())
        cutAlsoByRows(linear);
    for (epi::LinearOp linear : ends)
      cutByRows(linear);
  }

  static Type cutType(Type type, int64_t parts) {
    if (auto cache = dyn_cast<epi::KvCacheType>(type))
      return epi::KvCacheType::get(type.getContext(), cache.getHeads() / parts, cache.getKey(),
                                   cache.getValue(), cache.getElementType());
    return resize(type, 1, cast<RankedTensorType>(type).getDimSize(1) / parts);
  }

  /// The weights that meet the columns, or heads, of `value` where it is made.
  void cutWeightsOf(Value value, int64_t parts) {
    Operation *op = value.getDefiningOp();
    auto shard = [&](OpOperand &operand) { shardOperand(operand, ep::Axis::Tensor, 0, parts); };
    if (auto linear = dyn_cast<epi::LinearOp>(op)) {
      ++numColumn;
      shard(linear.getWMutable());
    } else if (auto linear = dyn_cast<epi::HeadLinearOp>(op)) {
      shard(linear.getWMutable());
    } else if (isa<epi::AddOp, epi::MulOp>(op) &&
               cast<RankedTensorType>(op->getOperand(1).getType()).getRank() == 1) {
      shard(op->getOpOperand(1));
    } else if (auto attention = dyn_cast<epi::AttentionOp>(op)) {
      for (OpOperand &sinks : attention.getSinksMutable())
        shard(sinks);
    } else if (auto attention = dyn_cast<epi::MlaAttentionOp>(op)) {
      for (OpOperand &up : attention.getUpMutable())
        shard(up);
    }
  }

  /// `linear` ends a chain: its input is cut, and so is its weight, by columns.
  void cutByRows(epi::LinearOp linear) {
    ++numRow;
    shardOperand(linear.getWMutable(), ep::Axis::Tensor, 1, tensor);
    if (epi::dim(linear.getType(), 1) % expert == 0 && saved(linear, &LinkCost::allGather) > 0) {
      ++num2d;
      auto whole = cast<RankedTensorType>(linear.getType());
      shardOperand(linear.getWMutable(), ep::Axis::Expert, 0, expert);
      linear.getResult().setType(resize(whole, 1, whole.getDimSize(1) / expert));
      gather(linear.getResult(), whole, ep::Axis::Expert);
    }
    reduce(linear.getResult(), ep::Axis::Tensor);
  }

  /// Everything else uses all ranks' columns of `part`.
  void gather(Value part, RankedTensorType whole, ep::Axis axis) {
    OpBuilder builder(part.getContext());
    builder.setInsertionPointAfterValue(part);
    auto gathered =
        ep::GatherColumnsOp::create(builder, part.getLoc(), whole, part, kMeshName, axis);
    part.replaceAllUsesExcept(gathered.getResult(), gathered);
  }

  /// The projection takes the columns of its input that belong to this rank's place along `axis`.
  void takeColumns(epi::LinearOp linear, ep::Axis axis, int64_t parts) {
    if (parts == 1)
      return;
    OpBuilder builder(linear);
    auto whole = cast<RankedTensorType>(linear.getX().getType());
    auto part = ep::ShardColumnsOp::create(builder, linear.getLoc(),
                                           resize(whole, 1, whole.getDimSize(1) / parts),
                                           linear.getX(), kMeshName, axis);
    linear.getXMutable().set(part.getResult());
    shardOperand(linear.getWMutable(), axis, 1, parts);
  }

  //===--------------------------------------------------------------------===//
  // Both axes
  //===--------------------------------------------------------------------===//

  /// `linear`, cut by columns over the tensor axis, is cut by rows over the expert axis besides,
  /// where that saves time.
  void cutAlsoByRows(epi::LinearOp linear) {
    if (epi::dim(linear.getX().getType(), 1) % expert || saved(linear, &LinkCost::allReduce) <= 0)
      return;
    ++num2d;
    takeColumns(linear, ep::Axis::Expert, expert);
    reduce(linear.getResult(), ep::Axis::Expert);
  }

  /// Nanoseconds of the largest step that cutting `linear` over the expert axis too would save: a
  /// part of reading its weight, or of its products, against bringing its results together.
  double saved(epi::LinearOp linear, double (LinkCost::*cost)(double) const) {
    auto target = getOperation()->getAttrOfType<exec::TargetAttr>(exec::kTargetAttrName);
    auto limits = getOperation()->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
    if (!target || !limits || expert == 1 || attention == ep::AttentionMode::Data)
      return 0;
    auto weight = cast<RankedTensorType>(linear.getW().getType());
    auto type = cast<RankedTensorType>(linear.getType());
    int64_t rows = limits.getBatchTokens();
    double elements = static_cast<double>(weight.getNumElements());
    double read = elements * (weight.getElementTypeBitWidth() / 8) /
                  target.getMemoryGbps().getValueAsDouble();
    double computed =
        2 * elements * static_cast<double>(rows) / target.getGflops().getValueAsDouble();
    double work = std::max(read, computed) * (1 - 1 / static_cast<double>(expert));
    return work - (LinkCost(target, expert).*cost)(bytesOfRows(type, rows));
  }

  //===--------------------------------------------------------------------===//
  // One projection at a time
  //===--------------------------------------------------------------------===//

  /// Cuts `linear` as the mode says, and puts its result together at once.
  void cutAlone(epi::LinearOp linear) {
    auto whole = cast<RankedTensorType>(linear.getType());
    bool byColumns = mode != TensorMode::Row;
    int64_t rowParts = mode == TensorMode::Row              ? tensor.getValue()
                       : mode == TensorMode::TwoDimensional ? expert.getValue()
                                                            : 1;
    ep::Axis rowAxis = byColumns ? ep::Axis::Expert : ep::Axis::Tensor;
    if ((byColumns && whole.getDimSize(1) % tensor) ||
        epi::dim(linear.getX().getType(), 1) % rowParts)
      return reportMissed(kPass, linear, "the ranks do not divide its weight");
    takeColumns(linear, rowAxis, rowParts);
    if (byColumns) {
      shardOperand(linear.getWMutable(), ep::Axis::Tensor, 0, tensor);
      linear.getResult().setType(resize(whole, 1, whole.getDimSize(1) / tensor));
      gather(linear.getResult(), whole, ep::Axis::Tensor);
    }
    if (rowParts > 1)
      reduce(linear.getResult(), rowAxis);
    ++(!byColumns ? numRow : rowParts > 1 ? num2d : numColumn);
  }

  /// Projections to the vocabulary: their results are returned, whole.
  void cutHeads() {
    forEachLinear([&](epi::LinearOp linear) {
      auto whole = cast<RankedTensorType>(linear.getType());
      if (!llvm::all_of(linear->getUsers(), llvm::IsaPred<func::ReturnOp>) || linear->use_empty())
        return;
      if (whole.getDimSize(1) % tensor)
        return reportMissed(kPass, linear, "the ranks do not divide the vocabulary");
      shardOperand(linear.getWMutable(), ep::Axis::Tensor, 0, tensor);
      linear.getResult().setType(resize(whole, 1, whole.getDimSize(1) / tensor));
      gather(linear.getResult(), whole, ep::Axis::Tensor);
      ++numColumn;
    });
  }

  size_t numColumn = 0, numRow = 0, num2d = 0, numExperts = 0, numMerged = 0;
};

} // namespace
