#include "codegen/cuda/Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

Val clampedSwiglu(Emitter &e, epi::ClampedSwigluAttr clamp, Val gate, Val up) {
  const double alpha = clamp.getAlpha().getValueAsDouble();
  const double limit = clamp.getLimit().getValueAsDouble();
  // What is not a number stays so, which minimum and maximum alone would replace by the limit.
  auto unlessNumber = [&](Val x, Val limited) {
    Val isNumber =
        e.wrap(arith::CmpFOp::create(e.builder(), arith::CmpFPredicate::ORD, x, x).getResult());
    return e.select(isNumber, limited, x);
  };
  Val g = unlessNumber(gate, e.minimum(gate, e.f32(limit)));
  Val u = unlessNumber(up, e.maximum(e.minimum(up, e.f32(limit)), e.f32(-limit)));
  return (u + e.f32(1.0)) * (g * e.sigmoid(e.f32(alpha) * g));
}

} // namespace

Val computeElementwise(Emitter &e, Operation *op, ArrayRef<Val> operands) {
  Val x = operands.front();
  return llvm::TypeSwitch<Operation *, Val>(op)
      .Case([&](epi::AddOp) { return x + operands[1]; })
      .Case([&](epi::MulOp) { return x * operands[1]; })
      .Case([&](epi::SiluOp) { return x * e.sigmoid(x); })
      .Case([&](epi::SigmoidOp) { return e.sigmoid(x); })
      .Case([&](epi::ClampedSwigluOp gated) {
        return clampedSwiglu(e, gated.getClamp(), x, operands[1]);
      })
      .Case([&](epi::CastOp) { return x; });
}

Val roundTo(Emitter &e, Type element, Val x) {
  return element.isF32() ? x : e.toF32(e.fromF32(x, element));
}

std::pair<Val, Val> rotatePair(Val a, Val b, Val cosine, Val sine) {
  Emitter &e = a.owner();
  return {e.fma(a, cosine, e.negate(b * sine)), e.fma(b, cosine, a * sine)};
}

Val quotient(Emitter &e, Val x, Val divisor, Val inverse) {
  Val estimate = x * inverse;
  return e.fma(e.fma(e.negate(estimate), divisor, x), inverse, estimate);
}

} // namespace epigraph::cuda
