// Verifiers of the ep dialect.
#include "dialects/ep/VerifyMesh.h"
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
  if (getToken())
    setName(getToken(), "token");
}

void MeshOp::build(OpBuilder &builder, OperationState &state, StringRef name, int64_t expert,
                   int64_t tensor, AttentionMode attention) {
  build(builder, state, builder.getStringAttr(name), builder.getI64IntegerAttr(expert),
        builder.getI64IntegerAttr(tensor), AttentionModeAttr::get(builder.getContext(), attention));
}

LogicalResult MeshOp::verify() {
  // Ranks are counted in 16 bits (runtime/artifact/plan.fbs).
  auto isCount = [](int64_t value) { return value >= 1 && value <= UINT16_MAX; };
  int64_t expert = getExpert(), tensor = getTensor();
  if (!isCount(expert) || !isCount(tensor) || !isCount(expert * tensor)) // (C1)
    return emitOpError("must have 1 to 65535 ranks, got expert = ")
           << expert << ", tensor = " << tensor;
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

LogicalResult LocalShardOp::verify() {
  auto type = cast<RankedTensorType>(getW().getType());
  int64_t dim = getDim(), parts = getParts();
  if (dim < 0 || dim >= type.getRank() || parts < 1 || type.isDynamicDim(dim) ||
      type.getDimSize(dim) % parts) // (C1)
    return emitOpError("cannot cut dim ") << dim << " of " << type << " into " << parts << " parts";
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] /= parts;
  if (elementOf(type) != elementOf(getResult().getType()))
    return emitOpError("the result must have element type ") << elementOf(type);
  return verifyShape(*this, "the result", getResult().getType(), shape);
}

LogicalResult ReplicaTableOp::verify() {
  return verifyShape(*this, "the result", getResult().getType(), // (C1)
                     {getPlacement().getExperts(), 1 + getPlacement().getMostReplicas()});
}

LogicalResult AssignReplicasOp::verify() {
  int64_t columns = dim(getTable().getType(), 1);
  if (columns < 2) // (C1)
    return emitOpError("table must have two or more columns, got ") << columns;
  return success();
}

LogicalResult WaitOp::verify() {
  if (getTokens().empty()) // (C1)
    return emitOpError("must have a token");
  return success();
}

LogicalResult epigraph::ep::verifyMesh(Operation *op, FlatSymbolRefAttr mesh,
                                       SymbolTableCollection &symbols, PlacementAttr placement) {
  auto meshOp = symbols.lookupNearestSymbolFrom<MeshOp>(op, mesh);
  if (!meshOp)
    return op->emitOpError("there is no ep.mesh ") << mesh;
  if (placement && placement.getRanks() != static_cast<int64_t>(meshOp.getExpert()))
    return op->emitOpError("placement is over ")
           << placement.getRanks() << " ranks, but mesh " << mesh << " has " << meshOp.getExpert();
  return success();
}

LogicalResult ShardRowsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (getToken())
    return emitOpError("moves nothing between ranks, so it has no token");
  return verifyMesh(*this, getMeshAttr(), symbols);
}
LogicalResult GatherColumnsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (failed(verifyMesh(*this, getMeshAttr(), symbols)))
    return failure();
  auto mesh = symbols.lookupNearestSymbolFrom<MeshOp>(*this, getMeshAttr());
  auto x = cast<RankedTensorType>(getX().getType());
  if (x.getRank() != 2 || elementOf(x) != elementOf(getResult().getType()))
    return emitOpError("x must be [rows, columns] of the result's element type, got ") << x;
  return verifyShape(*this, "the result", getResult().getType(), // (C1)
                     {dim(x, 0), dim(x, 1) * mesh.getSize(getAxis())});
}
LogicalResult ShardColumnsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (getToken())
    return emitOpError("moves nothing between ranks, so it has no token");
  if (failed(verifyMesh(*this, getMeshAttr(), symbols)))
    return failure();
  auto mesh = symbols.lookupNearestSymbolFrom<MeshOp>(*this, getMeshAttr());
  int64_t ranks = mesh.getSize(getAxis());
  auto x = cast<RankedTensorType>(getX().getType());
  if (x.getRank() != 2 || dim(x, 1) % ranks || elementOf(x) != elementOf(getResult().getType()))
    return emitOpError("x must be [rows, columns] of the result's element type, with columns that ")
           << ranks << " divides, got " << x;
  return verifyShape(*this, "the result", getResult().getType(), // (C1)
                     {dim(x, 0), dim(x, 1) / ranks});
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
                         {getPlacement().getNumSlots()})) || // (C1)
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
