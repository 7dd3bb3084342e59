// Follows the weight down to its dequantizations. A rank's part is tiled anew, from its own first
// row on; each tile must lie in one block of the whole, whose scale it takes. Where parts are whole
// blocks that is the identity, and scales are cut as values are.
#include "passes/quant/QuantizedWeights.h"

#include "dialects/ep/Ep.h"
#include "dialects/epi/Verify.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph {
namespace {

constexpr int64_t kBlock = epi::kScaleBlock;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Whether dimension `dim` of a weight is cut into blocks; the experts of a stack are not.
bool isBlocked(Value weight, int64_t dim) { return dim >= typeOf(weight).getRank() - 2; }

RankedTensorType resize(RankedTensorType type, int64_t dim, int64_t size) {
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = size;
  return RankedTensorType::get(shape, type.getElementType());
}

/// Which block each tile of all `parts` parts of `size` elements lies in; nothing if one lies in
/// two.
std::optional<SmallVector<int64_t>> blocksOfParts(int64_t size, int64_t parts) {
  SmallVector<int64_t> blocks;
  for (int64_t part = 0; part < parts; ++part)
    for (int64_t begin = 0; begin < size; begin += kBlock) {
      const int64_t first = part * size + begin;
      const int64_t last = part * size + std::min(begin + kBlock, size) - 1;
      if (first / kBlock != last / kBlock)
        return std::nullopt;
      blocks.push_back(first / kBlock);
    }
  return blocks;
}

std::optional<SmallVector<int64_t>> blocksOfParts(ep::LocalShardOp shard) {
  return blocksOfParts(epi::dim(shard.getType(), shard.getDim()), shard.getParts());
}

QuantizedObstacle obstacleOfShard(ep::LocalShardOp shard) {
  QuantizedObstacle below = findQuantizedObstacle(shard.getW());
  if (below.op || !isBlocked(shard.getW(), shard.getDim()) || blocksOfParts(shard))
    return below;
  return {shard, "a rank's part cuts blocks that share a scale", /*cutsBlock=*/true};
}

QuantizedObstacle obstacleOfConcat(epi::ConcatOp concat) {
  for (auto [index, input] : llvm::enumerate(concat.getInputs())) {
    if (QuantizedObstacle below = findQuantizedObstacle(input); below.op)
      return below;
    const bool isLast = index + 1 == concat.getInputs().size();
    if (!isLast && isBlocked(input, concat.getDim()) &&
        epi::dim(input.getType(), concat.getDim()) % kBlock != 0)
      return {concat, "a part of a joined weight ends inside a block of scales"};
  }
  return {};
}

/// Parts of `scales` of one row, or column, each along `dim`.
SmallVector<Value> splitScales(OpBuilder &builder, Value scales, int64_t dim) {
  RankedTensorType type = typeOf(scales);
  if (type.getDimSize(dim) == 1)
    return {scales};
  SmallVector<Type> types(type.getDimSize(dim), resize(type, dim, 1));
  auto split =
      epi::SplitOp::create(builder, scales.getLoc(), types, scales, builder.getI64IntegerAttr(dim));
  return llvm::to_vector_of<Value>(split.getResults());
}

/// The scales of `blocks` along `dim`, in that order.
Value selectScales(OpBuilder &builder, Value scales, int64_t dim, ArrayRef<int64_t> blocks) {
  SmallVector<Value> single = splitScales(builder, scales, dim);
  SmallVector<Value> selected =
      llvm::map_to_vector(blocks, [&](int64_t block) { return single[block]; });
  auto type = resize(typeOf(scales), dim, static_cast<int64_t>(blocks.size()));
  return epi::ConcatOp::create(builder, scales.getLoc(), type, selected,
                               builder.getI64IntegerAttr(dim));
}

/// The part of `whole` that `shard` takes of a weight.
Value shardLike(OpBuilder &builder, ep::LocalShardOp shard, Value whole) {
  RankedTensorType type = typeOf(whole);
  const int64_t dim = shard.getDim(), parts = shard.getParts();
  return ep::LocalShardOp::create(builder, shard.getLoc(),
                                  resize(type, dim, type.getDimSize(dim) / parts), whole,
                                  shard.getAxis(), dim, parts);
}

QuantizedWeight takeShardApart(OpBuilder &builder, ep::LocalShardOp shard) {
  QuantizedWeight weight = takeApart(builder, shard.getW());
  if (isBlocked(shard.getW(), shard.getDim())) {
    SmallVector<int64_t> blocks = *blocksOfParts(shard);
    const int64_t dim = shard.getDim();
    if (static_cast<int64_t>(blocks.size()) != epi::dim(weight.scales.getType(), dim)) {
      weight.scales = selectScales(builder, weight.scales, dim, blocks);
      weight.isRetiled = true;
    }
  }
  return {shardLike(builder, shard, weight.values), shardLike(builder, shard, weight.scales),
          weight.isRetiled};
}

QuantizedWeight takeExpertsApart(OpBuilder &builder, ep::LocalExpertsOp local) {
  QuantizedWeight weight = takeApart(builder, local.getW());
  auto slice = [&](Value whole) -> Value {
    auto type = resize(typeOf(whole), 0, epi::dim(local.getType(), 0));
    return ep::LocalExpertsOp::create(builder, local.getLoc(), type, whole,
                                      local.getPlacementAttr());
  };
  return {slice(weight.values), slice(weight.scales), weight.isRetiled};
}

QuantizedWeight takeConcatApart(OpBuilder &builder, epi::ConcatOp concat) {
  SmallVector<Value> values, scales;
  bool isRetiled = false;
  for (Value input : concat.getInputs()) {
    QuantizedWeight part = takeApart(builder, input);
    values.push_back(part.values);
    scales.push_back(part.scales);
    isRetiled |= part.isRetiled;
  }
  auto join = [&](ArrayRef<Value> parts) -> Value {
    int64_t size = 0;
    for (Value part : parts)
      size += epi::dim(part.getType(), concat.getDim());
    return epi::ConcatOp::create(builder, concat.getLoc(),
                                 resize(typeOf(parts.front()), concat.getDim(), size), parts,
                                 concat.getDimAttr());
  };
  return {join(values), join(scales), isRetiled};
}

} // namespace

QuantizedObstacle findQuantizedObstacle(Value weight) {
  Operation *op = weight.getDefiningOp();
  if (!op)
    return {weight.getParentBlock()->getParentOp(), "it is an argument"};
  return llvm::TypeSwitch<Operation *, QuantizedObstacle>(op)
      .Case([](epi::DequantizeOp dequantize) -> QuantizedObstacle {
        if (dequantize.getBlock() == ArrayRef<int64_t>{kBlock, kBlock})
          return {};
        return {dequantize, "its blocks are not 128x128"};
      })
      .Case([](ep::LocalExpertsOp local) { return findQuantizedObstacle(local.getW()); })
      .Case([](ep::LocalShardOp shard) { return obstacleOfShard(shard); })
      .Case([](epi::ConcatOp concat) { return obstacleOfConcat(concat); })
      .Default([](Operation *other) -> QuantizedObstacle {
        return {other, "it goes through " + other->getName().getStringRef().str()};
      });
}

QuantizedWeight takeApart(OpBuilder &builder, Value weight) {
  return llvm::TypeSwitch<Operation *, QuantizedWeight>(weight.getDefiningOp())
      .Case([](epi::DequantizeOp dequantize) {
        return QuantizedWeight{dequantize.getX(), dequantize.getScales()};
      })
      .Case([&](ep::LocalExpertsOp local) { return takeExpertsApart(builder, local); })
      .Case([&](ep::LocalShardOp shard) { return takeShardApart(builder, shard); })
      .Case([&](epi::ConcatOp concat) { return takeConcatApart(builder, concat); });
}

} // namespace epigraph
