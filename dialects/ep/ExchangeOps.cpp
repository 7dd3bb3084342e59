// Verifiers of the operations over the memory of peers (EpExchangeOps.td).
#include "dialects/ep/VerifyMesh.h"
#include "dialects/epi/Verify.h"

using namespace mlir;
using namespace epigraph;
using namespace epigraph::ep;
using epigraph::epi::dim;
using epigraph::epi::elementOf;
using epigraph::epi::verifyShape;

namespace {

LogicalResult verifyCapacity(Operation *op, int64_t capacity) {
  if (capacity < 1)
    return op->emitOpError("capacity must be positive, got ") << capacity;
  return success();
}

/// Rows have scales exactly if they are quantized.
LogicalResult verifyScales(Operation *op, Value rows, Value scales) {
  if (isa<Float8E4M3FNType>(elementOf(rows.getType())) != static_cast<bool>(scales))
    return op->emitOpError("rows of f8E4M3FN have scales, and no others, got ") << rows.getType();
  return success();
}

/// Choices of tokens: two values of one shape.
LogicalResult verifyChoices(Operation *op, StringRef what, Value first, Value second) {
  auto shape = cast<RankedTensorType>(first.getType()).getShape();
  return verifyShape(op, what, second.getType(), shape);
}

} // namespace

LogicalResult DispatchSendOp::verify() {
  if (failed(verifyChoices(*this, "weights", getIds(), getWeights())) || // (C1)
      failed(verifyScales(*this, getX(), getXScale())))                  // (C2)
    return failure();
  return verifyCapacity(*this, getCapacity()); // (C3)
}

LogicalResult DispatchReceiveOp::verify() {
  if (failed(verifyShape(*this, "counts", getCounts().getType(), // (C1)
                         {getPlacement().getLocalExperts()})) ||
      failed(verifyShape(*this, "received", getReceived().getType(), {1})) ||
      failed(verifyShape(*this, "places", getPlaces().getType(), // (C2)
                         {getPlacement().getRanks() * static_cast<int64_t>(getCapacity()),
                          dim(getPlaces().getType(), 1)})) ||
      failed(verifyChoices(*this, "weights", getPlaces(), getWeights())) ||
      failed(verifyScales(*this, getRows(), getRowScales()))) // (C3)
    return failure();
  return verifyCapacity(*this, getCapacity()); // (C4)
}

LogicalResult CombineSendOp::verify() {
  if (failed(verifyCapacity(*this, getCapacity())))
    return failure();
  return verifyChoices(*this, "weights", getPlaces(), getWeights()); // (C1)
}

LogicalResult CombineReceiveOp::verify() {
  if (failed(verifyChoices(*this, "weights", getIds(), getWeights())) || // (C1)
      failed(verifyShape(*this, "places", getPlaces().getType(),         // (C2)
                         {getPlacement().getRanks() * static_cast<int64_t>(getCapacity()),
                          dim(getIds().getType(), 1)})))
    return failure();
  if (elementOf(getRows().getType()) != elementOf(getResult().getType())) // (C3)
    return emitOpError("the result must have element type ") << elementOf(getRows().getType());
  return verifyShape(*this, "the result", getResult().getType(),
                     {dim(getIds().getType(), 0), dim(getRows().getType(), 1)});
}

LogicalResult DispatchSendOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols, getPlacement()); // (C4)
}

LogicalResult DispatchReceiveOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols, getPlacement()); // (C4)
}

LogicalResult CombineSendOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (failed(verifyMesh(*this, getMeshAttr(), symbols)))
    return failure();
  auto mesh = symbols.lookupNearestSymbolFrom<MeshOp>(*this, getMeshAttr());
  auto ranks = static_cast<int64_t>(mesh.getExpert());
  return verifyShape(*this, "places", getPlaces().getType(), // (C2)
                     {ranks * static_cast<int64_t>(getCapacity()), dim(getPlaces().getType(), 1)});
}

LogicalResult CombineReceiveOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols, getPlacement()); // (C2)
}

void DispatchReceiveOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getRows(), "rows");
  setName(getCounts(), "counts");
  setName(getReceived(), "received");
  setName(getPlaces(), "places");
  setName(getWeights(), "weights");
  if (getRowScales())
    setName(getRowScales(), "row_scales");
}
