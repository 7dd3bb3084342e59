// Verifiers of the attention operations.
#include "dialects/epi/Epi.h"
#include "dialects/epi/Verify.h"

using namespace mlir;
using namespace epigraph::epi;

LogicalResult KvAppendOp::verify() {
  int64_t rows = dim(getFirst().getType(), 0);
  SmallVector<int64_t> first, second;
  Type element;
  if (auto mla = dyn_cast<MlaCacheType>(getCache().getType())) {
    first = {rows, mla.getLatent()};
    second = {rows, mla.getRope()};
    element = mla.getElementType();
  } else {
    auto kv = cast<KvCacheType>(getCache().getType());
    first = {rows, kv.getHeads(), kv.getKey()};
    second = {rows, kv.getHeads(), kv.getValue()};
    element = kv.getElementType();
  }
  if (failed(verifyShape(*this, "the first part", getFirst().getType(), first)) || // (C1)
      failed(verifyShape(*this, "the second part", getSecond().getType(), second)))
    return failure();
  if (elementOf(getFirst().getType()) != element ||
      elementOf(getSecond().getType()) != element) // (C2)
    return emitOpError("both parts must have the cache's element type ") << element;
  return success();
}

static LogicalResult verifyScale(Operation *op, const APFloat &scale) {
  if (!(scale.convertToDouble() > 0))
    return op->emitOpError("scale must be positive");
  return success();
}

LogicalResult AttentionOp::verify() {
  auto cache = getCache().getType();
  int64_t rows = dim(getQ().getType(), 0), heads = dim(getQ().getType(), 1);
  if (heads % cache.getHeads()) // (C1)
    return emitOpError("query heads (")
           << heads << ") must be a multiple of the cache's heads (" << cache.getHeads() << ")";
  if (failed(verifyShape(*this, "q", getQ().getType(), {rows, heads, cache.getKey()})) || // (C2)
      failed(
          verifyShape(*this, "the result", getResult().getType(), {rows, heads, cache.getValue()})))
    return failure();
  if (getSinks() && failed(verifyShape(*this, "sinks", getSinks().getType(), {heads}))) // (C4)
    return failure();
  if (getWindow() && static_cast<int64_t>(*getWindow()) < 1) // (C5)
    return emitOpError("window must be positive, got ") << static_cast<int64_t>(*getWindow());
  return verifyScale(*this, getScale()); // (C3)
}

LogicalResult MlaAttentionOp::verify() {
  auto cache = getCache().getType();
  int64_t rows = dim(getQ().getType(), 0), heads = dim(getQ().getType(), 1);
  if (failed(verifyShape(*this, "q_rope", getQRope().getType(),
                         {rows, heads, cache.getRope()}))) // (C1)
    return failure();
  int64_t outSize = dim(getResult().getType(), 2);
  if (getUp()) { // (C2)
    int64_t nope = dim(getQ().getType(), 2);
    if (failed(verifyShape(*this, "up", getUp().getType(),
                           {heads * (nope + outSize), cache.getLatent()})) ||
        failed(verifyShape(*this, "the result", getResult().getType(), {rows, heads, outSize})))
      return failure();
  } else { // (C3)
    if (failed(verifyShape(*this, "q", getQ().getType(), {rows, heads, cache.getLatent()})) ||
        failed(verifyShape(*this, "the result", getResult().getType(),
                           {rows, heads, cache.getLatent()})))
      return failure();
  }
  return verifyScale(*this, getScale()); // (C4)
}
