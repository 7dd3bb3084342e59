// Verifiers of the ep dialect.
#include "dialects/ep/Ep.h"
#include "dialects/epi/Verify.h"

using namespace mlir;
using namespace epigraph;
using namespace epigraph::ep;
using epigraph::epi::dim;
using epigraph::epi::elementOf;
using epigraph::epi::verifyShape;

#define GET_OP_CLASSES
#include "dialects/ep/EpOps.cpp.inc"

void DispatchOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getRows(), "rows");
  setName(getCounts(), "counts");
  setName(getExchange(), "exchange");
}

void ScatterExpertsOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getReceived(), "received");
  setName(getReceivedCounts(), "received_counts");
}

LogicalResult MeshOp::verify() {
  if (static_cast<int64_t>(getExpert()) < 1) // (C1)
    return emitOpError("must have at least one rank, got expert = ") << getExpert();
  return success();
}

LogicalResult LocalExpertsOp::verify() {
  auto type = cast<RankedTensorType>(getW().getType());
  if (type.getRank() < 1 || type.getDimSize(0) != getPlacement().getExperts()) // (C1)
    return emitOpError("the placement is of ")
           << getPlacement().getExperts() << " experts, but w is " << type;
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = getPlacement().getLocalExperts();
  return verifyShape(*this, "the result", getResult().getType(), shape);
}

/// `mesh` must name an `ep.mesh`; with `placement`, of as many ranks as the placement has.
static LogicalResult verifyMesh(Operation *op, FlatSymbolRefAttr mesh,
                                SymbolTableCollection &symbols, PlacementAttr placement = {}) {
  auto meshOp = symbols.lookupNearestSymbolFrom<MeshOp>(op, mesh);
  if (!meshOp)
    return op->emitOpError("there is no ep.mesh ") << mesh;
  if (placement && placement.getRanks() != static_cast<int64_t>(meshOp.getExpert()))
    return op->emitOpError("placement is over ")
           << placement.getRanks() << " ranks, but mesh " << mesh << " has " << meshOp.getExpert();
  return success();
}

LogicalResult ShardRowsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols);
}
LogicalResult AllGatherOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols);
}
LogicalResult AllReduceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols);
}
LogicalResult ReduceScatterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols);
}
LogicalResult DispatchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols, getPlacement()); // (C3)
}
LogicalResult CombineOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols);
}
LogicalResult ScatterExpertsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols, getPlacement()); // (C3)
}
LogicalResult GatherExpertsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyMesh(*this, getMeshAttr(), symbols);
}

/// Rows before and after an exchange differ in number only.
static LogicalResult verifyRows(Operation *op, StringRef what, Type before, Type after) {
  if (elementOf(before) != elementOf(after))
    return op->emitOpError() << what << " must have element type " << elementOf(before) << ", got "
                             << elementOf(after);
  return verifyShape(op, what, after, {ShapedType::kDynamic, dim(before, 1)});
}

LogicalResult DispatchOp::verify() {
  if (failed(verifyShape(*this, "counts", getCounts().getType(), // (C1)
                         {getPlacement().getLocalExperts()})))
    return failure();
  return verifyRows(*this, "rows", getX().getType(), getRows().getType()); // (C2)
}

LogicalResult CombineOp::verify() {
  auto dispatch = getExchange().getDefiningOp<DispatchOp>();
  if (dispatch && dispatch.getMesh() != getMesh()) // (C2)
    return emitOpError("is on @") << getMesh() << " but its dispatch is on @" << dispatch.getMesh();
  return verifyShape(*this, "the result", getResult().getType(), // (C1)
                     {dim(getWeights().getType(), 0), dim(getRows().getType(), 1)});
}

LogicalResult ScatterExpertsOp::verify() {
  if (failed(verifyShape(*this, "counts", getCounts().getType(),
                         {getPlacement().getExperts()})) || // (C1)
      failed(verifyShape(*this, "received_counts", getReceivedCounts().getType(),
                         {getPlacement().getLocalExperts()})))
    return failure();
  return verifyRows(*this, "received", getRows().getType(), getReceived().getType()); // (C2)
}

ScatterExpertsOp GatherExpertsOp::getScatter() {
  return getReceivedCounts().getDefiningOp<ScatterExpertsOp>();
}

LogicalResult GatherExpertsOp::verify() {
  ScatterExpertsOp scatter = getScatter();
  if (!scatter || scatter.getCounts() != getCounts()) // (C2)
    return emitOpError(
        "received_counts must come from the ep.scatter_experts that got these counts");
  return verifyRows(*this, "the result", getRows().getType(), getResult().getType()); // (C1)
}
