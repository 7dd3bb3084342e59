// Follows the program back from its result: an operation that treats the rows of its operands alike
// is cloned on one row; `ep.local_experts` and an `ep.local_shard` of rows change the row's number;
// a stack gives way to the one tensor with that number, and a tensor to one part of its split, of
// which the evaluation reads no other. Anything else ends the attempt.
#include "compiler/driver/WeightSlices.h"

#include "codegen/reference/WeightProgram.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph {
namespace {

RankedTensorType oneRow(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape.front() = 1;
  return RankedTensorType::get(shape, tensor.getElementType());
}

int64_t rowsOf(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(0); }

/// Whether row i of each result of `op` depends on row i of its operands alone, for all i.
bool keepsRowsApart(Operation *op) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case([](epi::CastOp) { return true; })
      // Of a stack: the rows of a matrix share scales.
      .Case([](epi::DequantizeOp op) { return op.getResult().getType().getRank() == 3; })
      .Case([](ep::LocalShardOp shard) { return shard.getDim() != 0; })
      .Case([](epi::ConcatOp concat) { return concat.getDim() != 0; })
      .Case([](epi::SplitOp split) { return split.getDim() != 0; })
      .Case([](epi::TransposeOp transpose) { return transpose.getPermutation().front() == 0; })
      .Case([](epi::ReshapeOp reshape) { return rowsOf(reshape.getX()) == rowsOf(reshape); })
      .Default(false);
}

class Slicer {
public:
  Slicer(OpBuilder &builder, const reference::MeshShape &mesh, int rank)
      : builder_(builder), mesh_(mesh), rank_(rank) {}

  /// Row `index` of `value`, or null.
  Value row(Value value, int64_t index) {
    return llvm::TypeSwitch<Operation *, Value>(value.getDefiningOp())
        .Case([&](epi::WeightStackOp stack) { return rowOfStack(stack, index); })
        .Case([&](epi::WeightOp weight) { return rowOfWeight(weight, index); })
        .Case([&](ep::LocalExpertsOp local) {
          ep::PlacementAttr placement = local.getPlacement();
          int64_t first = mesh_.place(ep::Axis::Expert, rank_) * placement.getLocalExperts();
          return row(local.getW(), placement.getExpertOf(first + index));
        })
        .Case([&](exec::PackOp pack) { return row(pack.getX(), index); })
        .Default([&](Operation *op) -> Value {
          if (!op)
            return nullptr;
          auto shard = dyn_cast<ep::LocalShardOp>(op);
          if (shard && shard.getDim() == 0)
            return row(shard.getW(), reference::shardRange(shard, mesh_, rank_).first + index);
          if (!keepsRowsApart(op))
            return nullptr;
          return rowOfClone(op, cast<OpResult>(value).getResultNumber(), index);
        });
  }

private:
  Value rowOfStack(epi::WeightStackOp stack, int64_t index) {
    RankedTensorType type = oneRow(stack.getType());
    auto tensor = RankedTensorType::get(type.getShape().drop_front(), type.getElementType());
    Value weight = epi::WeightOp::create(builder_, stack.getLoc(), tensor, stack.getName(index));
    return epi::ReshapeOp::create(builder_, stack.getLoc(), type, weight);
  }

  Value rowOfWeight(epi::WeightOp weight, int64_t index) {
    Value whole = builder_.clone(*weight)->getResult(0);
    auto type = cast<RankedTensorType>(weight.getType());
    SmallVector<Type> parts;
    for (int64_t rows : {index, int64_t{1}, type.getDimSize(0) - index - 1}) {
      SmallVector<int64_t> shape(type.getShape());
      shape.front() = rows;
      if (rows)
        parts.push_back(RankedTensorType::get(shape, type.getElementType()));
    }
    if (parts.size() == 1)
      return whole;
    auto split = epi::SplitOp::create(builder_, weight.getLoc(), parts, whole, /*dim=*/0);
    return split.getResult(index ? 1 : 0);
  }

  Value rowOfClone(Operation *op, unsigned result, int64_t index) {
    IRMapping mapping;
    for (Value operand : op->getOperands()) {
      Value sliced = row(operand, index);
      if (!sliced)
        return nullptr;
      mapping.map(operand, sliced);
    }
    Operation *clone = builder_.clone(*op, mapping);
    for (Value value : clone->getResults())
      value.setType(oneRow(value.getType()));
    return clone->getResult(result);
  }

  OpBuilder &builder_;
  const reference::MeshShape &mesh_;
  int rank_;
};

} // namespace

OwningOpRef<exec::WeightOp> sliceWeight(exec::WeightOp weight, const reference::MeshShape &mesh,
                                        int rank, int64_t index) {
  OpBuilder builder(weight.getContext());
  OwningOpRef<exec::WeightOp> slice = exec::WeightOp::create(
      builder, weight.getLoc(), weight.getSymName(), oneRow(weight.getType()));
  builder.setInsertionPointToEnd(&slice->getBody().emplaceBlock());
  Value whole = weight.getBody().front().getTerminator()->getOperand(0);
  Value row = Slicer(builder, mesh, rank).row(whole, index);
  if (!row)
    return nullptr;
  exec::YieldOp::create(builder, weight.getLoc(), row);
  slice->setRankLocal(!slice->getBody().getOps<ep::LocalShardOp>().empty());
  return slice;
}

} // namespace epigraph
