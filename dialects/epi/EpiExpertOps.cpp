// Verifiers of the expert operations.
#include "dialects/epi/Epi.h"
#include "dialects/epi/Verify.h"

using namespace mlir;
using namespace epigraph::epi;

void RouteOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getIds(), "ids");
  setName(getWeights(), "weights");
}

void PermuteOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getRows(), "rows");
  setName(getSlots(), "slots");
  setName(getCounts(), "counts");
}

LogicalResult RouteOp::verify() {
  int64_t rows = dim(getLogits().getType(), 0), experts = dim(getLogits().getType(), 1);
  int64_t groups = getGroups(), topGroups = getTopGroups(), topK = getTopK();
  if (getBias() && failed(verifyShape(*this, "bias", getBias().getType(), {experts}))) // (C1)
    return failure();
  if (groups < 1 || experts % groups) // (C2)
    return emitOpError("groups (") << groups << ") must divide the experts (" << experts << ")";
  if (topGroups < 1 || topGroups > groups)
    return emitOpError("top_groups (")
           << topGroups << ") must lie in 1 to groups (" << groups << ")";
  int64_t candidates = experts / groups * topGroups;
  if (topK < 1 || topK > candidates) // (C3)
    return emitOpError("top_k (") << topK << ") must lie in 1 to the " << candidates
                                  << " experts of top_groups groups";
  if (failed(verifyShape(*this, "ids", getIds().getType(), {rows, topK}))) // (C4)
    return failure();
  return verifyShape(*this, "weights", getWeights().getType(), {rows, topK});
}

LogicalResult ExpertsOp::verify() {
  Type ids = getIds().getType(), gate = getGate().getType();
  if (failed(verifyShape(*this, "weights", getWeights().getType(),
                         {dim(ids, 0), dim(ids, 1)}))) // (C1)
    return failure();
  int64_t experts = dim(gate, 0), inner = dim(gate, 1), hidden = dim(getX().getType(), 1); // (C2)
  if (failed(verifyShape(*this, "gate", gate, {experts, inner, hidden})) ||
      failed(verifyShape(*this, "up", getUp().getType(), {experts, inner, hidden})))
    return failure();
  if (failed(verifyShape(*this, "down", getDown().getType(), {experts, hidden, inner})))
    return failure();
  if (getBiases().empty())
    return success();
  if (getBiases().size() != 3) // (C3)
    return emitOpError("must have no biases, or those of gate, up and down, got ")
           << getBiases().size();
  if (failed(verifyShape(*this, "the bias of gate", getBiases()[0].getType(), {experts, inner})) ||
      failed(verifyShape(*this, "the bias of up", getBiases()[1].getType(), {experts, inner})))
    return failure();
  return verifyShape(*this, "the bias of down", getBiases()[2].getType(), {experts, hidden});
}

LogicalResult PermuteOp::verify() {
  Type x = getX().getType(), ids = getIds().getType();
  if (elementOf(x) != elementOf(getRows().getType())) // (C1)
    return emitOpError("rows must have the element type of x, ") << elementOf(x);
  if (failed(verifyShape(*this, "rows", getRows().getType(), {ShapedType::kDynamic, dim(x, 1)})))
    return failure();
  return verifyShape(*this, "slots", getSlots().getType(), {dim(ids, 0), dim(ids, 1)}); // (C2)
}

LogicalResult UnpermuteOp::verify() {
  Type slots = getSlots().getType();
  if (failed(verifyShape(*this, "weights", getWeights().getType(),
                         {dim(slots, 0), dim(slots, 1)}))) // (C1)
    return failure();
  return verifyShape(*this, "the result", getResult().getType(), // (C2)
                     {dim(slots, 0), dim(getRows().getType(), 1)});
}

LogicalResult GroupedLinearOp::verify() {
  Type x = getX().getType(), w = getW().getType();
  if (failed(verifyShape(*this, "counts", getCounts().getType(), {dim(w, 0)}))) // (C1)
    return failure();
  if (dim(x, 1) != dim(w, 2)) // (C2)
    return emitOpError("x has ") << dim(x, 1) << " columns but w has " << dim(w, 2)
                                 << "; both must be K";
  if (getBias() && failed(verifyShape(*this, "bias", getBias().getType(), // (C4)
                                      {dim(w, 0), dim(w, 1)})))
    return failure();
  if (failed(verifyScaledOperands(*this, getX(), getXScale(), getW(), getWScale()))) // (C5) to (C7)
    return failure();
  return verifyShape(*this, "the result", getResult().getType(), {dim(x, 0), dim(w, 1)}); // (C3)
}
