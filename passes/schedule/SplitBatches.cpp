// Around each dispatch: what lies between the launch whose rows are scattered and the one that
// takes the gathered rows is found by following values forwards and backwards. Of that part two
// copies are made, on halves of the rows that come in from outside, and the results are joined.
// Kernels are the same for any number of rows, so none is added but those that halve and join. In
// auto, both forms are scheduled on paper (Timeline.h), together with the work beside the part that
// depends on neither. Cost: the function's operations, for each dispatch.
#include "passes/PassRemarks.h"
#include "passes/schedule/Passes.h"
#include "passes/schedule/Timeline.h"
#include "passes/schedule/UnderWay.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace epigraph {
#define GEN_PASS_DEF_SPLITBATCHESPASS
#include "passes/schedule/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "ep-split-batches";
/// The share of the time that two batches must save: estimates are not more exact than that.
constexpr double kLeastGain = 0.05;

using OpSet = llvm::SmallSetVector<Operation *, 32>;

/// The part of a layer that works on dispatched rows, ordered as in the block: from the launch that
/// sorts rows by expert to the one that puts results back.
struct RoutedPart {
  ep::ScatterExpertsOp scatter;
  SmallVector<Operation *> ops;
  SmallVector<Value> inputs;       ///< rows from outside
  SmallVector<Operation *> beside; ///< could run at the same time

  Operation *getLast() const { return ops.back(); }
};

/// Operations of the block that need `op`, and `op`.
OpSet dependentsOf(Operation *op) {
  OpSet found;
  found.insert(op);
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode())
    if (llvm::any_of(next->getOperands(),
                     [&](Value operand) { return found.contains(operand.getDefiningOp()); }))
      found.insert(next);
  return found;
}

/// Operations of the block that `op` needs, and `op`.
OpSet dependenciesOf(Operation *op) {
  OpSet found;
  found.insert(op);
  for (size_t i = 0; i < found.size(); ++i)
    for (Value operand : found[i]->getOperands())
      if (Operation *giver = operand.getDefiningOp())
        found.insert(giver);
  return found;
}

bool hasRows(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && !type.hasStaticShape();
}

bool isFree(Operation *op) { return isa<exec::LoadWeightOp, epi::KvCacheOp>(op); }

/// The gather that undoes `scatter`; null unless there is exactly one.
ep::GatherExpertsOp gatherOf(ep::ScatterExpertsOp scatter) {
  ep::GatherExpertsOp found;
  for (Operation *user : scatter.getReceivedCounts().getUsers())
    if (auto gather = dyn_cast<ep::GatherExpertsOp>(user)) {
      if (found)
        return {};
      found = gather;
    }
  return found;
}

struct SplitBatchesPass : epigraph::impl::SplitBatchesPassBase<SplitBatchesPass> {
  using SplitBatchesPassBase::SplitBatchesPassBase;

  void runOnOperation() override {
    numSplit = numDispatches = 0;
    savedNs = 0;
    halves.clear();
    joins.clear();
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (batches != BatchSplit::One && failed(split(function)))
        return signalPassFailure();
    reportStatistics(*this, getOperation())
        << metric("split", numSplit) << metric("dispatches", numDispatches)
        << metric("saved-ns", static_cast<int64_t>(savedNs));
  }

  LogicalResult split(func::FuncOp function) {
    SmallVector<ep::ScatterExpertsOp> scatters;
    for (auto scatter : function.getOps<ep::ScatterExpertsOp>())
      if (tokenOf(scatter))
        scatters.push_back(scatter);
    if (scatters.empty())
      return success();
    FailureOr<RowExtents> extents = RowExtents::compute(function);
    if (failed(extents))
      return failure();
    auto limits = getOperation()->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
    FailureOr<StepCosts> whole = StepCosts::compute(function, limits.getBatchTokens());
    FailureOr<StepCosts> half =
        StepCosts::compute(function, llvm::divideCeil(limits.getBatchTokens(), 2));
    if (failed(whole) || failed(half))
      return failure();

    numDispatches += scatters.size();
    SmallVector<RoutedPart> parts;
    for (ep::ScatterExpertsOp scatter : scatters) {
      std::optional<RoutedPart> part = findPart(scatter, *extents);
      if (part && (batches == BatchSplit::Two || isWorthIt(*part, *extents, *whole, *half)))
        parts.push_back(std::move(*part));
    }
    for (RoutedPart &part : parts)
      split(part);
    return success();
  }

  /// The part around `scatter`, if two copies of it on half of the rows do what it does.
  std::optional<RoutedPart> findPart(ep::ScatterExpertsOp scatter, const RowExtents &extents) {
    Operation *first = scatter.getRows().getDefiningOp();
    ep::GatherExpertsOp gather = gatherOf(scatter);
    if (!isa_and_nonnull<exec::LaunchOp>(first) || !gather || !gather.getResult().hasOneUse())
      return missed(scatter, "its rows are not permuted and put back by one launch each");
    Operation *last = *gather.getResult().user_begin();
    if (!isa<exec::LaunchOp>(last) || last->getNumResults() != 1)
      return missed(scatter, "its rows are not put back by a launch with one result");

    OpSet needFirst = dependentsOf(first), neededByLast = dependenciesOf(last);
    RoutedPart part{scatter, {}, {}, {}};
    Operation *begin = first->getOperand(0).getDefiningOp();
    if (auto share = dyn_cast_or_null<ep::ShardRowsOp>(begin))
      begin = share.getX().getDefiningOp();
    for (Operation *op = begin ? begin->getNextNode() : first; op; op = op->getNextNode()) {
      if (needFirst.contains(op) && neededByLast.contains(op))
        part.ops.push_back(op);
      else if (!needFirst.contains(op) && !neededByLast.contains(op) && !isFree(op))
        part.beside.push_back(op);
    }
    RowExtent rows = extents.of(last->getResult(0));
    if (rows.half != RowExtent::Half::Whole || rows.factor != 1 ||
        (rows.kind != RowExtent::Kind::Tokens && rows.kind != RowExtent::Kind::LocalTokens))
      return missed(scatter, "its results are not one row for each token of a rank");
    for (Operation *op : part.ops) {
      if (op != last)
        for (Operation *user : op->getUsers())
          if (!llvm::is_contained(part.ops, user))
            return missed(scatter, "something else reads what is computed on dispatched rows");
      for (Value operand : op->getOperands()) {
        if (!hasRows(operand) || llvm::is_contained(part.ops, operand.getDefiningOp()))
          continue;
        if (extents.of(operand) != rows)
          return missed(scatter, "it reads rows from outside that are not one for each token");
        if (!llvm::is_contained(part.inputs, operand))
          part.inputs.push_back(operand);
      }
    }
    return part;
  }

  std::optional<RoutedPart> missed(Operation *op, StringRef reason) {
    reportMissed(kPass, op, reason);
    return std::nullopt;
  }

  /// Compares estimates of both forms, on paper.
  bool isWorthIt(const RoutedPart &part, const RowExtents &extents, const StepCosts &whole,
                 const StepCosts &half) {
    SmallVector<Operation *> ops(part.ops);
    llvm::append_range(ops, part.beside);
    SmallVector<TimedStep> one = stepsOf(ops, whole);

    // Copies of the part's steps on halves, between copying rows apart and together.
    SmallVector<TimedStep> two = one;
    unsigned size = static_cast<unsigned>(part.ops.size());
    for (auto [i, op] : llvm::enumerate(part.ops))
      two[i].ns = half.of(op);
    for (unsigned i = 0; i < size; ++i) {
      TimedStep copy = two[i];
      for (unsigned &before : copy.after)
        before += static_cast<unsigned>(one.size());
      two.push_back(std::move(copy));
    }
    auto bytes = [&](Value value) { return static_cast<double>(extents.maxBytes(value)); };
    unsigned second = static_cast<unsigned>(one.size());
    two.push_back({TimedStep::Kind::Compute,
                   whole.ofCopy(bytes(part.getLast()->getResult(0))),
                   {size - 1, second + size - 1}});
    double apart = 0;
    for (Value input : part.inputs)
      apart += whole.ofCopy(bytes(input));

    double oneNs = timeOf(one, scheduleSteps(one));
    double twoNs = apart + timeOf(two, scheduleSteps(two));
    if (twoNs > (1 - kLeastGain) * oneNs) {
      missed(part.scatter, "two batches would not be faster by the target's costs");
      return false;
    }
    savedNs += oneNs - twoNs;
    return true;
  }

  void split(RoutedPart &part) {
    IRMapping first, second;
    for (Value input : part.inputs) {
      OpBuilder builder(&getContext());
      if (Operation *giver = input.getDefiningOp())
        builder.setInsertionPointAfter(giver);
      else
        builder.setInsertionPointToStart(part.getLast()->getBlock());
      auto halved = exec::LaunchOp::create(builder, part.scatter.getLoc(),
                                           TypeRange{input.getType(), input.getType()},
                                           halveKernel(input.getType()), input);
      first.map(input, halved.getResult(0));
      second.map(input, halved.getResult(1));
    }
    Operation *last = part.getLast();
    for (Operation *op : part.ops) {
      OpBuilder builder(op);
      builder.clone(*op, first);
      builder.clone(*op, second);
    }
    Value result = last->getResult(0);
    OpBuilder builder(last);
    auto joined = exec::LaunchOp::create(builder, last->getLoc(), result.getType(),
                                         joinKernel(result.getType()),
                                         ValueRange{first.lookup(result), second.lookup(result)});
    result.replaceAllUsesWith(joined.getResult(0));
    for (Operation *op : llvm::reverse(part.ops))
      op->erase();
    ++numSplit;
  }

  StringRef halveKernel(Type type) {
    return kernelFor(halves, "halve_rows", type, [](OpBuilder &builder, Location loc, Block &body) {
      auto halve = epi::HalveRowsOp::create(builder, loc, body.getArgument(0));
      return SmallVector<Value>(halve->getResults());
    });
  }

  StringRef joinKernel(Type type) {
    return kernelFor(joins, "join_rows", type, [](OpBuilder &builder, Location loc, Block &body) {
      Type type = body.getArgument(0).getType();
      auto join =
          epi::JoinRowsOp::create(builder, loc, type, body.getArgument(0), body.getArgument(1));
      return SmallVector<Value>{join.getResult()};
    });
  }

  /// The kernel that `build` makes for rows of `type`, once for each type.
  StringRef
  kernelFor(llvm::DenseMap<Type, exec::KernelOp> &known, StringRef stem, Type type,
            llvm::function_ref<SmallVector<Value>(OpBuilder &, Location, Block &)> build) {
    exec::KernelOp &kernel = known[type];
    if (kernel)
      return kernel.getSymName();
    ModuleOp module = getOperation();
    std::string name;
    for (unsigned next = 0; name.empty() || module.lookupSymbol(name); ++next)
      name = (stem + "_" + Twine(next)).str();
    Location loc = module.getLoc();
    OpBuilder builder(*module.getOps<func::FuncOp>().begin());
    kernel = exec::KernelOp::create(builder, loc, name, builder.getFunctionType({}, {}));
    Block &body = kernel.getBody().emplaceBlock();
    body.addArgument(type, loc);
    if (&known == &joins)
      body.addArgument(type, loc);
    builder.setInsertionPointToStart(&body);
    SmallVector<Value> results = build(builder, loc, body);
    exec::YieldOp::create(builder, loc, results);
    kernel.setFunctionType(
        builder.getFunctionType(body.getArgumentTypes(), ValueRange(results).getTypes()));
    return kernel.getSymName();
  }

  llvm::DenseMap<Type, exec::KernelOp> halves, joins;
  size_t numSplit = 0, numDispatches = 0;
  double savedNs = 0;
};

} // namespace
