#include "codegen/cuda/SamplingMath.h"

#include "runtime/base/Sampling.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <bit>
#include <limits>

using namespace mlir;

namespace epigraph::cuda {
namespace {

int64_t asSigned(uint64_t bits) { return static_cast<int64_t>(bits); }

/// The polynomial in `x` with these coefficients, the highest power's first.
Val polynomial(ArrayRef<float> terms, Val x) {
  Emitter &e = x.owner();
  Val sum = e.f32(terms.front());
  for (const float term : terms.drop_front())
    sum = e.fma(sum, x, e.f32(term));
  return sum;
}

/// ln(x), x = 1 + rest.
Val log(Val x, Val rest) {
  Emitter &e = x.owner();
  Val bits = e.bitcast(e.i32(), x);
  // Never negative for the numbers that come here, so that an unsigned shift will do.
  Val exponent = ((bits + kLogRounding) >> kMantissaBits) - kExponentBias;
  Val mantissa = e.bitcast(e.f32(), bits - (exponent << kMantissaBits));
  Val f = e.select(exponent == 0, rest, mantissa - e.f32(1));
  Val sum = e.fma(polynomial(kLogTerms, f), f, e.f32(-0.5));
  return e.fma(e.toF32(exponent), e.f32(kLn2), e.fma(sum, f * f, f));
}

/// x (f32) as an i32, towards zero.
Val truncated(Val x) {
  Emitter &e = x.owner();
  return e.wrap(arith::FPToSIOp::create(e.builder(), e.i32(), x));
}

} // namespace

Val randomBits(Val key, Val index) {
  Val bits = key + (index + 1) * asSigned(kRandomStep);
  bits = (bits ^ (bits >> kRandomShifts[0])) * asSigned(kRandomFactors[0]);
  bits = (bits ^ (bits >> kRandomShifts[1])) * asSigned(kRandomFactors[1]);
  return bits ^ (bits >> kRandomShifts[2]);
}

Val drawnFor(Val key, Val id) {
  Emitter &e = key.owner();
  return e.toI32(randomBits(key, e.toI64(id)) >> kNoiseUnusedBits);
}

Val mayHaveNoise(Val drawn, Val missing) {
  Emitter &e = drawn.owner();
  Val bits = truncated(missing * e.f32(kLog2E)) - 1;
  Val shift = e.maximum(e.minimum(bits, e.i32(30)), e.i32(0));
  Val most = e.i32(std::numeric_limits<int32_t>::max());
  return drawn <= e.wrap(arith::ShRUIOp::create(e.builder(), most, shift));
}

Val samplingNoise(Val drawn) {
  Emitter &e = drawn.owner();
  Val uniform =
      e.minimum(e.fma(e.toF32(drawn), e.f32(0x1p-31), e.f32(0x1p-32)), e.f32(1 - 0x1p-24));
  Val exponential = e.negate(log(e.f32(1) - uniform, e.negate(uniform)));
  return e.negate(log(exponential, exponential - e.f32(1)));
}

Val samplingMass(Val x) {
  Emitter &e = x.owner();
  Val bounded = e.maximum(x, e.f32(kLeastExponent));
  Val shifted = e.fma(bounded, e.f32(kLog2E), e.f32(kRoundingShift));
  Val n = shifted - e.f32(kRoundingShift);
  Val r = e.fma(n, e.f32(-kLn2Low), e.fma(n, e.f32(-kLn2High), bounded));
  Val ofRest = e.fma(polynomial(kExpTerms, r), r * r, r) + e.f32(1);
  Val power = e.bitcast(e.i32(), shifted) - std::bit_cast<int32_t>(kRoundingShift) + kMassBits;
  Val mass = e.bitcast(e.f32(), e.bitcast(e.i32(), ofRest) + (power << kMantissaBits));
  return truncated(mass + e.f32(0.5));
}

Val keptMass(Val total, Val topP) {
  Emitter &e = total.owner();
  Val kept = (total >> 32) * topP + (((total & int64_t{UINT32_MAX}) * topP) >> 32);
  return e.maximum(kept, e.i64(1));
}

} // namespace epigraph::cuda
