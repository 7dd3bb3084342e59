// Follows the weight's program back from its result. What moves values changes offset, sizes and
// strides of a view of a tensor, and what joins rows gives several views; one that can be said in
// no such way ends the attempt.
#include "compiler/driver/RandomWeightPlan.h"

#include <numeric>

#include "codegen/reference/WeightSource.h"
#include "codegen/target/Strides.h"
#include "compiler/driver/PlanTables.h"
#include "dialects/epi/Scales.h"
#include "runtime/artifact/RandomWeights.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph {
namespace {

static_assert(kRandomScaleBlock == epi::kScaleBlock);

/// A tensor of the checkpoint, or tensors of one type with a number in their names.
struct Tensors {
  StringRef name;
  RankedTensorType type; ///< of each
};

/// Where the elements of a value lie in tensors.
struct View {
  Tensors values;
  std::optional<Tensors> scales;
  bool isNumbered = false; ///< the first dimension counts tensors
  StridedShape shape;
  int64_t offset = 0;
  SmallVector<plan::RandomShard> shards;
  ep::PlacementAttr placement; ///< which of the first dimension each rank holds; null: all
};

/// Views whose rows follow one another: along the dimension before the last.
using Views = SmallVector<View, 1>;

class ViewFinder {
public:
  std::optional<Views> find(Value value) {
    return llvm::TypeSwitch<Operation *, std::optional<Views>>(value.getDefiningOp())
        .Case([&](epi::WeightOp weight) { return whole(weight); })
        .Case([&](epi::WeightStackOp stack) { return whole(stack); })
        .Case([&](epi::CastOp op) { return find(op.getX()); })
        .Case([&](exec::PackOp op) { return find(op.getX()); })
        .Case([&](epi::ConcatOp op) { return concat(op); })
        .Case([&](epi::DequantizeOp op) { return dequantize(op); })
        .Case<ep::LocalExpertsOp, ep::LocalShardOp, epi::SplitOp, epi::TransposeOp, epi::ReshapeOp>(
            [&](auto op) -> std::optional<Views> {
              std::optional<Views> views = find(op->getOperand(0));
              // Only what leaves rows alone could be done to several views.
              if (!views || views->size() != 1 || !move(op, cast<OpResult>(value), views->front()))
                return std::nullopt;
              return views;
            })
        .Default([](Operation *) { return std::nullopt; });
  }

private:
  static Views whole(epi::WeightOp weight) {
    auto type = cast<RankedTensorType>(weight.getType());
    View view;
    view.values = {weight.getName(), type};
    view.shape = StridedShape::contiguous(type.getShape());
    return {view};
  }

  static Views whole(epi::WeightStackOp stack) {
    auto type = cast<RankedTensorType>(stack.getType());
    View view;
    view.values = {stack.getPattern(),
                   RankedTensorType::get(type.getShape().drop_front(), type.getElementType())};
    view.isNumbered = true;
    view.shape = StridedShape::contiguous(type.getShape());
    view.shape.strides.front() = 0;
    return {view};
  }

  std::optional<Views> concat(epi::ConcatOp op) {
    const int64_t rows = cast<RankedTensorType>(op.getType()).getRank() - 2;
    Views joined;
    for (Value input : op.getInputs()) {
      std::optional<Views> views = find(input);
      if (!views || static_cast<int64_t>(op.getDim()) != rows)
        return std::nullopt;
      joined.append(*views);
    }
    return joined;
  }

  std::optional<Views> dequantize(epi::DequantizeOp op) {
    std::optional<Views> values = find(op.getX()), scales = find(op.getScales());
    const int64_t block[] = {epi::kScaleBlock, epi::kScaleBlock};
    if (!values || !scales || values->size() != 1 || scales->size() != 1 ||
        op.getBlock() != ArrayRef(block) || values->front().values.type.getRank() != 2)
      return std::nullopt;
    // Whatever was moved of the values was moved of their scales: a value's place tells its block.
    values->front().scales = scales->front().values;
    return values;
  }

  static bool move(ep::LocalExpertsOp op, OpResult, View &view) {
    view.placement = op.getPlacement();
    view.shape.sizes.front() = view.placement.getLocalExperts();
    return true;
  }

  static bool move(ep::LocalShardOp op, OpResult, View &view) {
    const size_t dim = static_cast<size_t>(op.getDim());
    int64_t &size = view.shape.sizes[dim];
    size /= static_cast<int64_t>(op.getParts());
    view.shards.emplace_back(static_cast<uint64_t>(size * view.shape.strides[dim]),
                             static_cast<uint32_t>(op.getParts()),
                             static_cast<plan::Axis>(op.getAxis()));
    return !(view.isNumbered && dim == 0);
  }

  static bool move(epi::SplitOp op, OpResult part, View &view) {
    const size_t dim = static_cast<size_t>(op.getDim());
    view.offset += op.getOffset(part.getResultNumber()) * view.shape.strides[dim];
    view.shape.sizes[dim] = cast<RankedTensorType>(part.getType()).getDimSize(op.getDim());
    return !(view.isNumbered && dim == 0);
  }

  static bool move(epi::TransposeOp op, OpResult, View &view) {
    const StridedShape before = view.shape;
    for (auto [to, from] : llvm::enumerate(op.getPermutation())) {
      view.shape.sizes[to] = before.sizes[static_cast<size_t>(from)];
      view.shape.strides[to] = before.strides[static_cast<size_t>(from)];
    }
    return !view.isNumbered || op.getPermutation().front() == 0;
  }

  static bool move(epi::ReshapeOp op, OpResult, View &view) {
    return !view.isNumbered && !view.placement &&
           view.shape.reshape(cast<RankedTensorType>(op.getType()).getShape());
  }
};

std::unique_ptr<plan::RandomTensorT> planTensor(const Tensors &tensors) {
  const RandomRange range = reference::randomRange(tensors.name, tensors.type);
  auto result = std::make_unique<plan::RandomTensorT>();
  result->tensor = tensors.name.str();
  result->dtype = planDType(tensors.type.getElementType());
  result->center = range.center;
  result->spread = range.spread;
  return result;
}

/// The part of each matrix that `view` is, of a weight that is a stack of them if `isStack`.
std::unique_ptr<plan::RandomPartT> planPart(const View &view, bool isStack) {
  const ArrayRef<int64_t> sizes = ArrayRef(view.shape.sizes).drop_front(isStack);
  const ArrayRef<int64_t> strides = ArrayRef(view.shape.strides).drop_front(isStack);
  auto part = std::make_unique<plan::RandomPartT>();
  part->values = planTensor(view.values);
  part->rows = static_cast<uint64_t>(sizes.size() == 2 ? sizes.front() : 1);
  part->columns = static_cast<uint64_t>(sizes.back());
  part->first = static_cast<uint64_t>(view.offset);
  part->matrix_stride = static_cast<uint64_t>(isStack ? view.shape.strides.front() : 0);
  part->row_stride = static_cast<uint64_t>(sizes.size() == 2 ? strides.front() : 0);
  part->column_stride = static_cast<uint64_t>(strides.back());
  part->shards.assign(view.shards.begin(), view.shards.end());
  if (view.scales) {
    part->scales = planTensor(*view.scales);
    part->tensor_columns = static_cast<uint64_t>(view.values.type.getShape().back());
  }
  return part;
}

/// The numbers of the matrices of a stack that each rank holds `held` of.
std::vector<uint32_t> numbersOf(ep::PlacementAttr placement, int64_t held) {
  std::vector<uint32_t> numbers(static_cast<size_t>(placement ? placement.getNumSlots() : held));
  std::iota(numbers.begin(), numbers.end(), 0);
  for (uint32_t &number : numbers)
    if (placement)
      number = static_cast<uint32_t>(placement.getExpertOf(number));
  return numbers;
}

} // namespace

std::optional<uint64_t> randomWeightsOf(ModuleOp module) {
  auto seed = module->getAttrOfType<IntegerAttr>(kRandomWeightsAttrName);
  return seed ? std::optional(static_cast<uint64_t>(seed.getInt())) : std::nullopt;
}

std::unique_ptr<plan::RandomWeightT> randomWeight(const StoredWeight &weight) {
  exec::WeightOp op = weight.op;
  const size_t rank = weight.shape.size();
  if ((rank != 2 && rank != 3) || weight.dtype == DType::I32)
    return nullptr;
  std::optional<Views> views =
      ViewFinder().find(op.getBody().front().getTerminator()->getOperand(0));
  if (!views)
    return nullptr;
  auto result = std::make_unique<plan::RandomWeightT>();
  const View &first = views->front();
  const bool isStack = rank == 3 || first.isNumbered;
  for (const View &view : *views) {
    if (view.placement != first.placement || view.isNumbered != first.isNumbered)
      return nullptr;
    result->parts.push_back(planPart(view, isStack));
  }
  if (isStack)
    result->matrices = numbersOf(first.placement, weight.shape.front());
  if (weight.panel) {
    result->rows = static_cast<uint64_t>(weight.shape[rank - 2]);
    result->columns = static_cast<uint64_t>(weight.shape[rank - 1]);
  }
  return result;
}

} // namespace epigraph
