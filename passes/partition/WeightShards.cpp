#include "passes/partition/WeightShards.h"

using namespace mlir;

namespace epigraph {

RankedTensorType resize(Type type, int64_t dim, int64_t size) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape[dim] = size;
  return RankedTensorType::get(shape, tensor.getElementType());
}

Value shardWeight(OpBuilder &builder, Value weight, ep::Axis axis, int64_t dim, int64_t parts) {
  if (parts == 1)
    return weight;
  auto whole = cast<RankedTensorType>(weight.getType());
  RankedTensorType type = resize(whole, dim, whole.getDimSize(dim) / parts);
  Location loc = weight.getLoc();
  if (auto cast = weight.getDefiningOp<epi::CastOp>())
    return epi::CastOp::create(builder, loc, type,
                               shardWeight(builder, cast.getX(), axis, dim, parts));
  return ep::LocalShardOp::create(builder, loc, type, weight, axis, dim, parts);
}

} // namespace epigraph
