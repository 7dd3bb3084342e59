// A walk in both directions from the seed, in the order of discovery, so that chains that cannot be
// cut (most of those along the residual stream) end after a few operations.
#include "passes/partition/ShardClosure.h"

#include "dialects/epi/Verify.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/graph/WeightExpressions.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph {
namespace {

/// The size of what is cut: dimension 1 of a tensor, the heads of a cache; 0 for anything else.
int64_t cutSize(Type type) {
  if (auto cache = dyn_cast<epi::KvCacheType>(type))
    return cache.getHeads();
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() >= 2 && tensor.isDynamicDim(0) ? tensor.getDimSize(1) : 0;
}

/// Operations that treat columns, or heads, apart: results are cut as their operands are.
bool keepsApart(Operation *op) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<epi::SiluOp, epi::SigmoidOp, epi::ClampedSwigluOp, epi::CastOp, epi::ReshapeOp,
            epi::HeadLinearOp>([](auto) { return true; })
      .Case<epi::SplitOp, epi::ConcatOp>([](auto op) { return op.getDim() == 2; })
      .Case<epi::RopeOp, epi::RmsNormOp>(
          [](auto op) { return cast<RankedTensorType>(op.getX().getType()).getRank() == 3; })
      .Default(false);
}

/// The operands of such an operation that are cut: activations, not weights.
SmallVector<Value> cutOperands(Operation *op) {
  if (isa<epi::ClampedSwigluOp, epi::ConcatOp>(op))
    return llvm::to_vector(op->getOperands());
  return {op->getOperand(0)};
}

} // namespace

ShardClosure::ShardClosure(ModuleOp module, int64_t ranks) : ranks(ranks) {
  module.walk([&](epi::KvCacheOp cache) { caches[cache.getName()].push_back(cache); });
}

ShardClosure::Obstacle ShardClosure::cut(Value seed) {
  trial.clear();
  next.clear();
  obstacle = Obstacle();
  require(seed, ranks, seed.getDefiningOp());
  // A size that does not divide is remembered, and the walk goes on: where something else is in the
  // way, the size is not to blame.
  while (!next.empty() && (!obstacle.op || obstacle.size)) {
    Value value = next.front();
    next.pop_front();
    int64_t count = trial.lookup(value);
    visitProducer(value, count);
    for (OpOperand &use : value.getUses())
      visitUse(use, count);
  }
  if (!obstacle.op)
    for (auto [value, count] : trial)
      parts.insert({value, count});
  return obstacle;
}

void ShardClosure::fail(Operation *op, const Twine &reason) {
  if (!obstacle.op || obstacle.size)
    obstacle = {op, reason.str(), 0};
}

void ShardClosure::require(Value value, int64_t count, Operation *op) {
  int64_t known = parts.lookup(value);
  if (known == 0)
    known = trial.lookup(value);
  if (known == count)
    return;
  int64_t size = cutSize(value.getType());
  if (known != 0 || size == 0)
    return fail(op, known ? "it would need parts of two sizes" : "it needs all of a value");
  if (size % count && !obstacle.op)
    obstacle = {op, "", size};
  trial.insert({value, count});
  next.push_back(value);
}

void ShardClosure::requireAll(ValueRange values, int64_t count, Operation *op) {
  for (Value value : values)
    require(value, count, op);
}

/// Members whose query heads share a head of keys and values hold it twice.
int64_t ShardClosure::cacheParts(epi::AttentionOp attention) {
  int64_t heads = attention.getCache().getType().getHeads();
  return heads < ranks && ranks % heads == 0 ? heads : ranks;
}

/// All functions see a cache alike.
void ShardClosure::visitCaches(epi::KvCacheOp cache, int64_t count) {
  for (epi::KvCacheOp other : caches[cache.getName()])
    require(other, count, other);
}

/// What gives `value` must be able to give a part of it.
void ShardClosure::visitProducer(Value value, int64_t count) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return fail(value.getParentBlock()->getParentOp(), "an argument is whole");
  if (keepsApart(op))
    return requireAll(cutOperands(op), count, op);
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](epi::LinearOp linear) {
        if (has(linear.getX()) || !isWeightExpression(linear.getW()))
          fail(op, "its input is cut already");
      })
      .Case<epi::AddOp, epi::MulOp>([&](auto binary) {
        require(binary.getLhs(), count, op);
        if (binary.getRhs().getType() == binary.getType())
          require(binary.getRhs(), count, op);
      })
      .Case([&](epi::AttentionOp attention) {
        require(attention.getQ(), count, op);
        require(attention.getCache(), cacheParts(attention), op);
      })
      .Case([&](epi::MlaAttentionOp attention) {
        requireAll({attention.getQ(), attention.getQRope()}, count, op);
      })
      .Case([&](epi::KvAppendOp append) {
        requireAll({append.getCache(), append.getFirst(), append.getSecond()}, count, op);
      })
      .Case([&](epi::KvCacheOp cache) { visitCaches(cache, count); })
      .Default([&](Operation *) { fail(op, "it gives all of its columns at once"); });
}

/// What uses a value must be able to work on a part of it.
void ShardClosure::visitUse(OpOperand &use, int64_t count) {
  Operation *op = use.getOwner();
  if (keepsApart(op))
    return requireAll(op->getResults(), count, op);
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](epi::LinearOp linear) {
        if (has(linear.getResult()) || count != ranks || !isWeightExpression(linear.getW()))
          fail(op, "it cannot add up over ranks");
      })
      .Case<epi::AddOp, epi::MulOp>([&](auto binary) {
        bool meetsRows = use.getOperandNumber() == 1 && use.get().getType() != binary.getType();
        meetsRows ? fail(op, "a value meets whole rows") : require(binary.getResult(), count, op);
      })
      .Case<epi::AttentionOp>([&](auto attention) { require(attention.getResult(), ranks, op); })
      .Case([&](epi::MlaAttentionOp attention) { require(attention.getResult(), count, op); })
      .Case([&](epi::KvAppendOp append) { require(append.getResult(), count, op); })
      .Default([&](Operation *) { fail(op, "it needs all columns at once"); });
}

} // namespace epigraph
