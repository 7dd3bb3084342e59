#include "compiler/driver/WeightLayout.h"

using namespace mlir;

namespace epigraph {

uint64_t StoredWeight::bytes() const {
  uint64_t result = dtypeBytes(dtype);
  for (uint64_t size : stored)
    result *= size;
  return result;
}

DType dtypeOf(Type elementType) {
  if (elementType.isBF16())
    return DType::BF16;
  if (isa<Float8E4M3FNType>(elementType))
    return DType::F8_E4M3;
  assert((elementType.isF32() || elementType.isInteger(32)) && "no other tensors exist");
  return elementType.isF32() ? DType::F32 : DType::I32;
}

std::vector<StoredWeight> collectStoredWeights(ModuleOp module) {
  std::vector<StoredWeight> result;
  for (auto op : module.getOps<exec::WeightOp>()) {
    auto type = cast<RankedTensorType>(op.getType());
    StoredWeight weight;
    weight.op = op;
    weight.name = op.getSymName().str();
    weight.dtype = dtypeOf(type.getElementType());
    weight.shape = std::vector<int64_t>(type.getShape());
    weight.panel = dyn_cast_or_null<exec::PanelAttr>(type.getEncoding());
    SmallVector<int64_t> stored = weight.panel ? weight.panel.getStoredShape(type.getShape())
                                               : SmallVector<int64_t>(type.getShape());
    weight.stored.assign(stored.begin(), stored.end());
    weight.shared = !op.getRankLocal();
    result.push_back(std::move(weight));
  }
  return result;
}

} // namespace epigraph
