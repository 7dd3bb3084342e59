// Collects the projections of each value in block order, grouped by what must agree (input, counts,
// element types), then joins each group where its first member stands: inputs are there by then,
// and weights are moved up, which is free since they depend on the checkpoint alone. A weight that
// is a concatenation already is flattened. Cost: linear.
#include "dialects/epi/Epi.h"
#include "dialects/epi/Verify.h"
#include "passes/PassRemarks.h"
#include "passes/graph/Passes.h"
#include "passes/graph/WeightExpressions.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

namespace epigraph {
#define GEN_PASS_DEF_FUSEPROJECTIONSPASS
#include "passes/graph/Passes.h.inc"
} // namespace epigraph

using namespace mlir;
using namespace epigraph;

namespace {

constexpr llvm::StringLiteral kPass = "epi-fuse-projections";

/// What projections must agree in to be fused: input, counts (of grouped linears, else null), and
/// the element types of weight, result and bias (null without one). Then the number, from 1 on, of
/// the group among those that agree in these and have quantized weights; 0 for others.
using Key = std::tuple<Value, Value, Type, Type, Type, unsigned>;
using Groups = llvm::MapVector<Key, SmallVector<Operation *>>;

Value getWeight(Operation *projection) {
  auto grouped = dyn_cast<epi::GroupedLinearOp>(projection);
  return grouped ? grouped.getW() : cast<epi::LinearOp>(projection).getW();
}

/// The bias that only a grouped linear can have, or null.
Value getBias(Operation *projection) {
  auto grouped = dyn_cast<epi::GroupedLinearOp>(projection);
  return grouped ? grouped.getBias() : Value();
}

/// Whether the last output of `projection` ends a block of scales: what follows a part of a block
/// in a joined weight would share its scale.
bool endsBlock(Operation *projection) {
  return epi::dim(projection->getResult(0).getType(), 1) % epi::kScaleBlock == 0;
}

/// The group that `projection` joins, which agrees with `key`: of quantized weights, none but the
/// last may end inside a block.
SmallVector<Operation *> &groupOf(Key key, Groups &groups) {
  unsigned &number = std::get<unsigned>(key);
  while (number > 0 && !groups[key].empty() && !endsBlock(groups[key].back())) {
    reportMissed(kPass, groups[key].back(),
                 "its FP8 weight ends inside a block of scales, so no other can follow it");
    ++number;
  }
  return groups[key];
}

Groups collectProjections(Block &block) {
  Groups groups;
  for (Operation &op : block) {
    if (!isa<epi::LinearOp, epi::GroupedLinearOp>(op))
      continue;
    Value weight = getWeight(&op), bias = getBias(&op);
    if (!isWeightExpression(weight) || (bias && !isWeightExpression(bias))) {
      reportMissed(kPass, &op, "the weight depends on an activation");
      continue;
    }
    auto grouped = dyn_cast<epi::GroupedLinearOp>(op);
    Key key{op.getOperand(0),
            grouped ? grouped.getCounts() : Value(),
            epi::elementOf(weight.getType()),
            epi::elementOf(op.getResult(0).getType()),
            bias ? epi::elementOf(bias.getType()) : Type(),
            isQuantizedWeight(weight) ? 1u : 0u};
    groupOf(key, groups).push_back(&op);
  }
  return groups;
}

/// The parts that `weight` joins along `dim`: itself, or those of its concatenation.
void appendParts(Value weight, int64_t dim, SmallVectorImpl<Value> &parts) {
  auto concat = weight.getDefiningOp<epi::ConcatOp>();
  if (concat && static_cast<int64_t>(concat.getDim()) == dim)
    llvm::append_range(parts, concat.getInputs());
  else
    parts.push_back(weight);
}

RankedTensorType resize(Type type, int64_t dim, int64_t size) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape[dim] = size;
  return RankedTensorType::get(shape, tensor.getElementType());
}

/// `operands`, weights or biases of all members of a group, joined along `dim` before `position`.
Value join(ArrayRef<Value> operands, int64_t dim, Operation *position, Location loc) {
  int64_t size = 0;
  SmallVector<Value> parts;
  for (Value operand : operands) {
    moveWeightBefore(operand, position);
    appendParts(operand, dim, parts);
    size += epi::dim(operand.getType(), dim);
  }
  OpBuilder builder(position);
  return epi::ConcatOp::create(builder, loc, resize(operands.front().getType(), dim, size), parts,
                               dim);
}

/// The sum of what `projection` gives and a bias vector, if nothing else uses it, or null.
epi::AddOp biasSumOf(Operation *projection) {
  if (!projection->hasOneUse())
    return {};
  auto sum = dyn_cast<epi::AddOp>(*projection->user_begin());
  bool fits = sum && sum->getBlock() == projection->getBlock() &&
              sum.getBroadcast() == epi::Broadcast::Columns &&
              sum.getLhs() == projection->getResult(0) && isWeightExpression(sum.getRhs());
  return fits ? sum : epi::AddOp();
}

/// Replaces `group` by one projection and a split of its result; bias vectors that all members have
/// added are added before the split.
void fuse(ArrayRef<Operation *> group) {
  Operation *first = group.front();
  OpBuilder builder(first);
  SmallVector<Value> weights = llvm::map_to_vector(group, getWeight);
  Location loc =
      builder.getFusedLoc(llvm::map_to_vector(group, [](Operation *op) { return op->getLoc(); }));
  // Outputs are the dimension before the last of a weight, and the last of a bias and a result.
  int64_t dim = cast<RankedTensorType>(weights.front().getType()).getRank() - 2;
  Value weight = join(weights, dim, first, loc);
  IRMapping joined;
  joined.map(weights.front(), weight);
  if (Value bias = getBias(first))
    joined.map(bias, join(llvm::map_to_vector(group, getBias), /*dim=*/1, first, loc));
  Operation *fused = builder.clone(*first, joined);
  fused->setLoc(loc);
  fused->getResult(0).setType(
      resize(first->getResult(0).getType(), 1, epi::dim(weight.getType(), dim)));
  auto types = llvm::map_to_vector(group, [](Operation *op) { return op->getResult(0).getType(); });
  Value whole = fused->getResult(0);
  SmallVector<epi::AddOp> sums = llvm::map_to_vector(group, biasSumOf);
  const bool areBiased = llvm::all_of(sums, [](epi::AddOp sum) { return sum; });
  if (areBiased) {
    auto biases = llvm::map_to_vector(sums, [](epi::AddOp sum) -> Value { return sum.getRhs(); });
    whole = epi::AddOp::create(builder, loc, whole.getType(), whole,
                               join(biases, /*dim=*/0, first, loc));
  }
  auto split = epi::SplitOp::create(builder, loc, types, whole, 1);
  for (auto [op, sum, part] : llvm::zip_equal(group, sums, split.getResults())) {
    (areBiased ? sum : op)->getResult(0).replaceAllUsesWith(part);
    if (areBiased)
      sum->erase();
    op->erase();
  }
}

struct FuseProjectionsPass : epigraph::impl::FuseProjectionsPassBase<FuseProjectionsPass> {
  void runOnOperation() override {
    size_t numGroups = 0, numProjections = 0;
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (Block &block : function.getBody())
        for (auto &[key, group] : collectProjections(block)) {
          if (group.size() < 2)
            continue;
          ++numGroups;
          numProjections += group.size();
          fuse(group);
        }
    reportStatistics(*this, getOperation())
        << metric("groups", numGroups) << metric("projections", numProjections);
  }
};

} // namespace
