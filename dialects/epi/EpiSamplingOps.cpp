// Verifiers of the operations that choose tokens, and their generated definitions.
#include "dialects/epi/Sampling.h"
#include "dialects/epi/Verify.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace epigraph::epi;

#define GET_OP_CLASSES
#include "dialects/epi/EpiSamplingOps.cpp.inc"

LogicalResult SampleOp::verify() {
  const Type x = getX().getType();
  if (dim(x, 1) < 1) // (C1)
    return emitOpError("x must have a static number of columns, at least one, got ") << x;
  return verifyShape(*this, "the result", getResult().getType(), {dim(x, 0)}); // (C2)
}
