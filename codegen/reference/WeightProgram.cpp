#include "codegen/reference/WeightProgram.h"

#include "codegen/reference/Dense.h"
#include "codegen/reference/Structure.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "runtime/base/Status.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::reference {
namespace {

using Rows = SmallVector<int64_t>;

Rows range(int64_t begin, int64_t end) { return llvm::to_vector(llvm::seq(begin, end)); }

int64_t rowsOf(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(0); }

/// [experts, 1 + most replicas]: see ep.replica_table.
Tensor replicaTable(ep::PlacementAttr placement) {
  int64_t columns = 1 + placement.getMostReplicas();
  Tensor table = Tensor::ints({placement.getExperts(), columns});
  for (int64_t slot = 0; slot < placement.getNumSlots(); ++slot) {
    int32_t *row = table.intRow(placement.getExpertOf(slot));
    row[++row[0]] = static_cast<int32_t>(slot);
  }
  return table;
}

/// One evaluation; recursion follows the operands.
class Evaluation {
public:
  Evaluation(WeightSource &source, const WeightOptions &options)
      : source(source), options(options) {}

  FailureOr<TensorRef> evaluate(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return emitError(value.getLoc()) << "a weight may not depend on an argument of its function";
    return TypeSwitch<Operation *, FailureOr<TensorRef>>(op)
        .Case(
            [&](epi::WeightOp weight) { return load(weight, weight.getName(), weight.getType()); })
        .Case([&](epi::WeightStackOp stack) { return loadStack(stack, range(0, rowsOf(stack))); })
        .Case<ep::LocalExpertsOp>(
            [&](auto local) { return evaluateRows(local, range(0, rowsOf(local))); })
        .Case([&](ep::LocalShardOp shard) { return evaluateShard(shard); })
        .Case([&](epi::SplitOp split) { return evaluatePart(split, cast<OpResult>(value)); })
        .Case([&](ep::ReplicaTableOp table) -> FailureOr<TensorRef> {
          return shared(replicaTable(table.getPlacement()));
        })
        .Default([&](Operation *) { return evaluateResult(op, cast<OpResult>(value)); });
  }

private:
  /// Loads one tensor of the checkpoint.
  FailureOr<TensorRef> load(Operation *op, StringRef name, Type type) {
    absl::StatusOr<Tensor> tensor =
        source.load({name.data(), name.size()}, cast<RankedTensorType>(type));
    if (!tensor.ok())
      return fail(op, tensor.status());
    return shared(*std::move(tensor));
  }

  /// Loads the tensors of `rows` alone.
  FailureOr<TensorRef> loadStack(epi::WeightStackOp stack, ArrayRef<int64_t> rows) {
    auto type = cast<RankedTensorType>(stack.getType());
    auto partType = RankedTensorType::get(type.getShape().drop_front(), type.getElementType());
    Shape shape(type.getShape().begin(), type.getShape().end());
    shape.front() = static_cast<int64_t>(rows.size());
    Tensor result = Tensor::floats(std::move(shape));
    for (auto [i, row] : llvm::enumerate(rows)) {
      FailureOr<TensorRef> part = load(stack, stack.getName(row), partType);
      if (failed(part))
        return failure();
      if ((*part)->isInt())
        return fail(stack, absl::InvalidArgumentError("stacks of integers are not supported"));
      std::copy_n((*part)->data(), (*part)->elements(), result.row(static_cast<int64_t>(i)));
    }
    return shared(std::move(result));
  }

  /// Loads `rows` of one tensor: no others, if they are neighbours.
  FailureOr<TensorRef> loadRows(epi::WeightOp weight, ArrayRef<int64_t> rows) {
    auto type = cast<RankedTensorType>(weight.getType());
    StringRef name = weight.getName();
    int64_t count = static_cast<int64_t>(rows.size());
    bool neighbours = count && rows.back() - rows.front() + 1 == count && llvm::is_sorted(rows);
    absl::StatusOr<Tensor> tensor = neighbours ? source.loadRows({name.data(), name.size()}, type,
                                                                 rows.front(), rows.back() + 1)
                                               : source.load({name.data(), name.size()}, type);
    if (!tensor.ok())
      return fail(weight, tensor.status());
    return neighbours ? shared(*std::move(tensor)) : select(weight, *tensor, rows);
  }

  /// `rows` of `value`: the choice is taken as far down as it can go, so that no others are loaded.
  FailureOr<TensorRef> evaluateRows(Value value, ArrayRef<int64_t> rows) {
    Operation *op = value.getDefiningOp();
    return TypeSwitch<Operation *, FailureOr<TensorRef>>(op)
        .Case([&](epi::WeightOp weight) { return loadRows(weight, rows); })
        .Case([&](epi::WeightStackOp stack) { return loadStack(stack, rows); })
        .Case([&](epi::CastOp cast) -> FailureOr<TensorRef> {
          FailureOr<TensorRef> below = evaluateRows(cast.getX(), rows);
          return failed(below) ? below : rounded(*below, cast.getType());
        })
        .Case([&](ep::LocalExpertsOp local) {
          ep::PlacementAttr placement = local.getPlacement();
          int64_t first =
              options.mesh.place(ep::Axis::Expert, options.rank) * placement.getLocalExperts();
          Rows experts = llvm::map_to_vector(
              rows, [&](int64_t i) { return placement.getExpertOf(first + i); });
          return evaluateRows(local.getW(), experts);
        })
        .Case([&](ep::LocalShardOp shard) { return evaluateShardRows(shard, rows); })
        .Default([&](Operation *) -> FailureOr<TensorRef> {
          FailureOr<TensorRef> whole = evaluate(value);
          return failed(whole) ? whole : select(op, **whole, rows);
        });
  }

  FailureOr<TensorRef> evaluateShardRows(ep::LocalShardOp shard, ArrayRef<int64_t> rows) {
    auto [begin, end] = shardRange(shard, options.mesh, options.rank);
    int64_t dim = shard.getDim();
    Rows below(rows);
    if (dim == 0)
      for (int64_t &row : below)
        row += begin;
    FailureOr<TensorRef> result = evaluateRows(shard.getW(), below);
    if (failed(result) || dim == 0)
      return result;
    return shared(sliceDim(**result, dim, begin, end));
  }

  /// Of rows that a tensor of the checkpoint is split into, the others are not read.
  FailureOr<TensorRef> evaluatePart(epi::SplitOp split, OpResult part) {
    if (split.getDim() != 0 || !split.getX().getDefiningOp<epi::WeightOp>())
      return evaluateResult(split, part);
    int64_t first = split.getOffset(part.getResultNumber());
    return evaluateRows(split.getX(), range(first, first + rowsOf(part)));
  }

  /// Row by row where rows are matrices, so that memory holds one of them uncut.
  FailureOr<TensorRef> evaluateShard(ep::LocalShardOp shard) {
    auto type = cast<RankedTensorType>(shard.getType());
    if (shard.getDim() == 0 || type.getRank() < 3)
      return evaluateShardRows(shard, range(0, type.getDimSize(0)));
    Tensor result = Tensor::floats(Shape(type.getShape().begin(), type.getShape().end()));
    for (int64_t i = 0; i < type.getDimSize(0); ++i) {
      FailureOr<TensorRef> row = evaluateShardRows(shard, {i});
      if (failed(row))
        return failure();
      std::copy_n((*row)->data(), (*row)->elements(), result.row(i));
    }
    return shared(std::move(result));
  }

  FailureOr<TensorRef> select(Operation *op, const Tensor &whole, ArrayRef<int64_t> rows) {
    SmallVector<int32_t> indices = llvm::to_vector_of<int32_t>(rows);
    absl::StatusOr<Tensor> result = selectRows(whole, {indices.data(), indices.size()});
    if (!result.ok())
      return fail(op, result.status());
    return shared(*std::move(result));
  }

  FailureOr<TensorRef> evaluateResult(Operation *op, OpResult result) {
    TensorRefs operands;
    for (Value operand : op->getOperands()) {
      FailureOr<TensorRef> value = evaluate(operand);
      if (failed(value))
        return failure();
      operands.push_back(*value);
    }
    absl::StatusOr<std::optional<TensorRefs>> results =
        evaluateTensorOp(op, operands, options.workers);
    if (!results.ok())
      return fail(op, results.status());
    if (!*results)
      return op->emitOpError("cannot be part of a weight's program; it may hold weights and "
                             "operations over them alone");
    return rounded((**results)[result.getResultNumber()], result.getType());
  }

  TensorRef rounded(const TensorRef &value, Type type) {
    if (!options.roundToTypes || !cast<RankedTensorType>(type).getElementType().isBF16())
      return value;
    return shared(roundToBFloat16(*value));
  }

  LogicalResult fail(Operation *op, const absl::Status &status) {
    return op->emitOpError(std::string(status.message()));
  }

  WeightSource &source;
  const WeightOptions &options;
};

} // namespace

std::pair<int64_t, int64_t> shardRange(ep::LocalShardOp shard, const MeshShape &mesh, int rank) {
  int64_t size = cast<RankedTensorType>(shard.getType()).getDimSize(shard.getDim());
  ep::Axis axis = shard.getAxis();
  int64_t part = mesh.place(axis, rank) * static_cast<int64_t>(shard.getParts()) / mesh.size(axis);
  return {part * size, (part + 1) * size};
}

FailureOr<TensorRef> evaluateWeightExpression(Value value, WeightSource &source,
                                              const WeightOptions &options) {
  return Evaluation(source, options).evaluate(value);
}

FailureOr<TensorRef> evaluateWeight(exec::WeightOp weight, WeightSource &source,
                                    const WeightOptions &options) {
  Value value = weight.getBody().front().getTerminator()->getOperand(0);
  return evaluateWeightExpression(value, source, options);
}

WeightValues::WeightValues(ModuleOp module, WeightSource &source, WeightOptions options)
    : source(source), options(options), symbols(module) {
  module.walk<WalkOrder::PreOrder>([&](Operation *op) { collect(op); });
}

/// Definitions come before uses in a block, so that one walk decides.
void WeightValues::collect(Operation *op) {
  bool local = isa<ep::LocalExpertsOp, ep::LocalShardOp>(op), weight;
  if (auto load = dyn_cast<exec::LoadWeightOp>(op)) {
    weight = true;
    auto global = symbols.lookup<exec::WeightOp>(load.getWeight());
    local = global && global.getRankLocal();
  } else if (op->getNumOperands() == 0) {
    weight = isa<epi::WeightOp, epi::WeightStackOp, epi::RopeTableOp, ep::ReplicaTableOp>(op);
  } else {
    weight = op->getNumResults() != 0 && op->getNumRegions() == 0 && isMemoryEffectFree(op);
    for (Value operand : op->getOperands()) {
      Operation *definition = operand.getDefiningOp();
      weight = weight && definition && operations.contains(definition);
      local = local || (definition && rankLocal.contains(definition));
    }
  }
  if (!weight)
    return;
  operations.insert(op);
  if (local)
    rankLocal.insert(op);
}

FailureOr<TensorRef> WeightValues::get(Value value, int rank) {
  Operation *op = value.getDefiningOp();
  int keyRank = rankLocal.contains(op) ? rank : 0;
  if (auto load = dyn_cast<exec::LoadWeightOp>(op)) // the value that its weight's program yields
    value = symbols.lookup<exec::WeightOp>(load.getWeight())
                .getBody()
                .front()
                .getTerminator()
                ->getOperand(0);
  std::lock_guard<std::mutex> guard(lock);
  auto [entry, isNew] = values.try_emplace({value, keyRank});
  if (!isNew)
    return entry->second;
  WeightOptions mine = options;
  mine.rank = rank;
  FailureOr<TensorRef> result = evaluateWeightExpression(value, source, mine);
  if (failed(result)) {
    values.erase(entry);
    return failure();
  }
  return entry->second = *result;
}

} // namespace epigraph::reference
