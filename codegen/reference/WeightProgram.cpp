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

/// Experts [begin, end) of a stack.
struct ExpertRange {
  int64_t begin;
  int64_t end;
};

ExpertRange localRange(ep::PlacementAttr placement, int rank) {
  int64_t local = placement.getLocalExperts();
  return {rank * local, (rank + 1) * local};
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
        .Case([&](epi::WeightStackOp stack) {
          return loadStack(stack, {0, cast<RankedTensorType>(stack.getType()).getDimSize(0)});
        })
        .Case([&](ep::LocalExpertsOp local) { return evaluateLocal(local); })
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

  /// Loads the tensors of `range` alone.
  FailureOr<TensorRef> loadStack(epi::WeightStackOp stack, ExpertRange range) {
    auto type = cast<RankedTensorType>(stack.getType());
    auto partType = RankedTensorType::get(type.getShape().drop_front(), type.getElementType());
    Shape shape(type.getShape().begin(), type.getShape().end());
    shape.front() = range.end - range.begin;
    Tensor result = Tensor::floats(std::move(shape));
    for (int64_t i = range.begin; i < range.end; ++i) {
      FailureOr<TensorRef> part = load(stack, stack.getName(i), partType);
      if (failed(part))
        return failure();
      if ((*part)->isInt())
        return fail(stack, absl::InvalidArgumentError("stacks of integers are not supported"));
      std::copy_n((*part)->data(), (*part)->elements(), result.row(i - range.begin));
    }
    return shared(std::move(result));
  }

  /// Casts do not mix experts: the slice is taken below them, where it saves loading the others.
  FailureOr<TensorRef> evaluateLocal(ep::LocalExpertsOp local) {
    ExpertRange range = localRange(local.getPlacement(), options.rank);
    Value below = local.getW();
    while (auto cast = below.getDefiningOp<epi::CastOp>())
      below = cast.getX();
    if (auto stack = below.getDefiningOp<epi::WeightStackOp>()) {
      FailureOr<TensorRef> result = loadStack(stack, range);
      return failed(result) ? result : rounded(*result, local.getType());
    }
    FailureOr<TensorRef> whole = evaluate(local.getW());
    if (failed(whole))
      return failure();
    return shared(sliceRows(**whole, range.begin, range.end));
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
  bool local = isa<ep::LocalExpertsOp>(op), weight;
  if (auto load = dyn_cast<exec::LoadWeightOp>(op)) {
    weight = true;
    auto global = symbols.lookup<exec::WeightOp>(load.getWeight());
    local = global && global.getRankLocal();
  } else if (op->getNumOperands() == 0) {
    weight = isa<epi::WeightOp, epi::WeightStackOp, epi::RopeTableOp>(op);
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
