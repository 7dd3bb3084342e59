#include "codegen/cpu/Elementwise.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

/// `value` in as many lanes as `like` has.
Value numberLike(KernelEmitter &e, double value, Value like) {
  auto vector = dyn_cast<VectorType>(like.getType());
  return e.number(value, vector ? vector.getNumElements() : 0);
}

/// numerator / (1 + exp(-x)).
Value divideByLogistic(KernelEmitter &e, Value numerator, Value x) {
  Value power = e.exponential(e.negate(x));
  return e.divideFloats(numerator, e.addFloats(numberLike(e, 1.0, x), power));
}

Value clampedSwiglu(KernelEmitter &e, epi::ClampedSwigluAttr clamp, Value gate, Value up) {
  const double alpha = clamp.getAlpha().getValueAsDouble();
  const double limit = clamp.getLimit().getValueAsDouble();
  Value highest = numberLike(e, limit, gate), lowest = numberLike(e, -limit, gate);
  // What is not a number stays so: the comparisons take their second operand then.
  Value g = e.minimumFloats(highest, gate);
  Value u = e.maximumFloats(lowest, e.minimumFloats(highest, up));
  Value glu = divideByLogistic(e, g, e.multiplyFloats(numberLike(e, alpha, g), g));
  return e.multiplyFloats(e.addFloats(u, numberLike(e, 1.0, u)), glu);
}

} // namespace

Value computeElementwise(KernelEmitter &e, Operation *op, ArrayRef<Value> operands) {
  Value x = operands.front();
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](epi::AddOp) { return e.addFloats(x, operands[1]); })
      .Case([&](epi::MulOp) { return e.multiplyFloats(x, operands[1]); })
      .Case([&](epi::SiluOp) { return divideByLogistic(e, x, x); })
      .Case([&](epi::SigmoidOp) { return divideByLogistic(e, numberLike(e, 1.0, x), x); })
      .Case([&](epi::ClampedSwigluOp gated) {
        return clampedSwiglu(e, gated.getClamp(), x, operands[1]);
      })
      .Case([&](epi::CastOp) { return x; });
}

} // namespace epigraph::cpu
