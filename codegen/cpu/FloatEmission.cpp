// Float32 arithmetic and the conversions from and to bf16. bf16 lives in memory as i16 and is
// handled by integer operations or explicit instructions, so that no path ends in a library call.
#include "codegen/cpu/KernelEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

#include <numeric>

using namespace mlir;

namespace epigraph::cpu {

Type KernelEmitter::floatType(int64_t width) {
  return width ? Type(VectorType::get(width, builder.getF32Type())) : builder.getF32Type();
}

Type KernelEmitter::intType(unsigned bits, int64_t width) {
  Type element = builder.getIntegerType(bits);
  return width ? Type(VectorType::get(width, element)) : element;
}

Type KernelEmitter::intTypeLike(Value like, unsigned bits) {
  auto vector = dyn_cast<VectorType>(like.getType());
  return intType(bits, vector ? vector.getNumElements() : 0);
}

Value KernelEmitter::intConstant(Type type, int64_t value) {
  Attribute attr;
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, builder.getIntegerAttr(vector.getElementType(), value));
  else
    attr = builder.getIntegerAttr(type, value);
  return arith::ConstantOp::create(builder, loc, cast<TypedAttr>(attr));
}

Value KernelEmitter::bitcast(Value value, Type type) {
  if (isa<VectorType>(type))
    return vector::BitCastOp::create(builder, loc, cast<VectorType>(type), value);
  return arith::BitcastOp::create(builder, loc, type, value);
}

//===----------------------------------------------------------------------===//
// Loads, stores and bf16
//===----------------------------------------------------------------------===//

Value KernelEmitter::floatsOfBf16(Value bits) {
  Type wide = intTypeLike(bits, 32);
  Value extended = arith::ExtUIOp::create(builder, loc, wide, bits);
  return firstOfPairs(extended);
}

Value KernelEmitter::bf16Bits(Value floats) {
  Type narrow = intTypeLike(floats, 16);
  if (auto vector = dyn_cast<VectorType>(floats.getType());
      cpuTarget.hasBf16Dot && vector &&
      (vector.getNumElements() == 16 || vector.getNumElements() == 8)) {
    auto bf16 = VectorType::get(vector.getShape(), builder.getBF16Type());
    return bitcast(x86vector::CvtPackedF32ToBF16Op::create(builder, loc, bf16, floats), narrow);
  }
  // Adding half of the last place kept, less one unless that place is odd, rounds to nearest even.
  Type wide = intTypeLike(floats, 32);
  Value bits = bitcast(floats, wide), sixteen = intConstant(wide, 16);
  Value odd = arith::AndIOp::create(
      builder, loc, arith::ShRUIOp::create(builder, loc, bits, sixteen), intConstant(wide, 1));
  Value rounded = arith::AddIOp::create(
      builder, loc, arith::AddIOp::create(builder, loc, bits, intConstant(wide, 0x7fff)), odd);
  // The addition would carry a NaN into infinity or zero.
  Value isNan = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNO, floats, floats);
  Value quiet = arith::OrIOp::create(builder, loc, bits, intConstant(wide, 0x400000));
  Value chosen = select(isNan, quiet, rounded);
  return arith::TruncIOp::create(builder, loc, narrow,
                                 arith::ShRUIOp::create(builder, loc, chosen, sixteen));
}

Value KernelEmitter::roundToBf16(Value a) { return floatsOfBf16(bf16Bits(a)); }

Value KernelEmitter::loadFloats(Value pointer, Type elementType, int64_t width) {
  if (elementType.isBF16())
    return floatsOfBf16(load(pointer, intType(16, width), 2));
  return load(pointer, floatType(width), 4);
}

Value KernelEmitter::loadPartial(Value pointer, int64_t count, Type elementType, int64_t width) {
  if (count == width)
    return loadFloats(pointer, elementType, width);
  Value vector = number(0.0, width);
  int64_t first = 0;
  for (int64_t part = width / 2; part >= 1; part /= 2) {
    if (!(count & part))
      continue;
    Value piece = loadFloats(advance(pointer, first * byteSize(elementType)), elementType, part);
    llvm::SmallVector<int64_t> indices(width);
    std::iota(indices.begin(), indices.end(), 0);
    std::iota(indices.begin() + first, indices.begin() + first + part, width);
    vector = shuffle(vector, padWithZeros(piece, width), indices);
    first += part;
  }
  return vector;
}

Value KernelEmitter::loadFloat(Value pointer, Type elementType) {
  return loadFloats(pointer, elementType, 0);
}

void KernelEmitter::storeFloats(Value vector, Value pointer, Type elementType) {
  const int64_t count = widthOf(vector);
  if (count > width()) { // conversions are made for one register
    storeFloats(slice(vector, 0, count / 2), pointer, elementType);
    return storeFloats(slice(vector, count / 2, count / 2),
                       advance(pointer, count / 2 * byteSize(elementType)), elementType);
  }
  storeFloat(vector, pointer, elementType);
}

void KernelEmitter::storeFloat(Value scalar, Value pointer, Type elementType) {
  if (elementType.isBF16())
    store(bf16Bits(scalar), pointer, 2);
  else
    store(scalar, pointer, 4);
}

void KernelEmitter::storePartial(Value vector, int64_t count, Value pointer, Type elementType) {
  const int64_t width = widthOf(vector);
  if (count == width)
    return storeFloats(vector, pointer, elementType);
  // Rounded whole, as a full store would, then stored in powers of two.
  Value bits = elementType.isBF16() ? bf16Bits(vector) : vector;
  int64_t first = 0;
  for (int64_t part = width / 2; part >= 1; part /= 2)
    if (count & part) {
      store(slice(bits, first, part), advance(pointer, first * byteSize(elementType)),
            byteSize(elementType));
      first += part;
    }
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value KernelEmitter::number(double value, int64_t width) {
  FloatAttr element = builder.getF32FloatAttr(static_cast<float>(value));
  if (!width)
    return arith::ConstantOp::create(builder, loc, element);
  auto type = cast<VectorType>(floatType(width));
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, element));
}

Value KernelEmitter::broadcast(Value scalar, int64_t width) {
  auto type = VectorType::get(width, scalar.getType());
  return vector::BroadcastOp::create(builder, loc, type, scalar);
}

Value KernelEmitter::addFloats(Value a, Value b) {
  return arith::AddFOp::create(builder, loc, a, b);
}

Value KernelEmitter::subtractFloats(Value a, Value b) {
  return arith::SubFOp::create(builder, loc, a, b);
}

Value KernelEmitter::multiplyFloats(Value a, Value b) {
  return arith::MulFOp::create(builder, loc, a, b);
}

Value KernelEmitter::divideFloats(Value a, Value b) {
  return arith::DivFOp::create(builder, loc, a, b);
}

Value KernelEmitter::negate(Value a) { return arith::NegFOp::create(builder, loc, a); }

Value KernelEmitter::fma(Value a, Value b, Value c) {
  return math::FmaOp::create(builder, loc, a, b, c);
}

Value KernelEmitter::squareRoot(Value a) { return math::SqrtOp::create(builder, loc, a); }

Value KernelEmitter::isGreater(Value a, Value b) {
  return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, a, b);
}

Value KernelEmitter::isEqualFloats(Value a, Value b) {
  return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, a, b);
}

// A comparison and a selection are one max or min instruction, NaN included.
Value KernelEmitter::maximumFloats(Value a, Value b) { return select(isGreater(a, b), a, b); }

Value KernelEmitter::minimumFloats(Value a, Value b) { return select(isGreater(b, a), a, b); }

// Cephes' expf: e^a = 2^n * e^r with n = round(a / ln 2), ln 2 in two parts, and a polynomial of
// degree 6 on |r| <= ln 2 / 2. n is rounded by adding 1.5 * 2^23, whose low mantissa bits are then
// n; shifted into the exponent they scale the polynomial.
Value KernelEmitter::exponential(Value a) {
  auto type = dyn_cast<VectorType>(a.getType());
  const int64_t width = type ? type.getNumElements() : 0;
  auto c = [&](double value) { return number(value, width); };
  constexpr double kRoundingShift = 12582912.0; // 1.5 * 2^23
  Value x = maximumFloats(c(-87.0), minimumFloats(c(88.0), a));
  Value shifted = fma(x, c(1.44269504088896341), c(kRoundingShift));
  Value n = subtractFloats(shifted, c(kRoundingShift));
  Value r = fma(n, c(-0.693359375), x);
  r = fma(n, c(2.12194440e-4), r);
  constexpr double kCoefficients[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                                      4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};
  Value p = c(kCoefficients[0]);
  for (double coefficient : llvm::drop_begin(kCoefficients))
    p = fma(p, r, c(coefficient));
  p = addFloats(fma(p, multiplyFloats(r, r), r), c(1.0));
  Type wide = intTypeLike(a, 32);
  Value exponent =
      arith::ShLIOp::create(builder, loc, bitcast(shifted, wide), intConstant(wide, 23));
  Value bits = arith::AddIOp::create(builder, loc, bitcast(p, wide), exponent);
  return bitcast(bits, a.getType());
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

int64_t KernelEmitter::widthOf(Value vector) {
  return cast<VectorType>(vector.getType()).getNumElements();
}

Value KernelEmitter::shuffle(Value a, Value b, ArrayRef<int64_t> indices) {
  return vector::ShuffleOp::create(builder, loc, a, b, indices);
}

Value KernelEmitter::slice(Value vector, int64_t first, int64_t count) {
  llvm::SmallVector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), first);
  return shuffle(vector, vector, indices);
}

Value KernelEmitter::padWithZeros(Value vector, int64_t width) {
  const int64_t have = widthOf(vector);
  if (have == width)
    return vector;
  // Indices from `have` on name zeros.
  llvm::SmallVector<int64_t> indices(width, have);
  std::iota(indices.begin(), indices.begin() + have, 0);
  return shuffle(vector, number(0.0, have), indices);
}

Value KernelEmitter::fold(Value vector, llvm::function_ref<Value(Value, Value)> combine) {
  for (int64_t half = widthOf(vector) / 2; half >= 1; half /= 2)
    vector = combine(slice(vector, 0, half), slice(vector, half, half));
  return vector::ExtractOp::create(builder, loc, vector, ArrayRef<int64_t>{0});
}

Value KernelEmitter::sumOf(Value vector) {
  return fold(vector, [&](Value a, Value b) { return addFloats(a, b); });
}

Value KernelEmitter::maximumOf(Value vector) {
  return fold(vector, [&](Value a, Value b) { return maximumFloats(a, b); });
}

Value KernelEmitter::iota(int64_t first, int64_t width) {
  llvm::SmallVector<int32_t> values(width);
  std::iota(values.begin(), values.end(), static_cast<int32_t>(first));
  return arith::ConstantOp::create(builder, loc, builder.getI32VectorAttr(values));
}

Value KernelEmitter::broadcastI32(Value value, int64_t width) {
  return broadcast(arith::TruncIOp::create(builder, loc, builder.getI32Type(), value), width);
}

Value KernelEmitter::minimumOfI32(Value vector) {
  Value least = fold(vector, [&](Value a, Value b) { return minimum(a, b); });
  return arith::ExtSIOp::create(builder, loc, builder.getI64Type(), least);
}

//===----------------------------------------------------------------------===//
// 8-bit floats
//===----------------------------------------------------------------------===//

// The bits of an f8E4M3FN, seven places up, are those of a half float whose exponent is smaller by
// 8 (its bias is 15, not 7); small values included, which conversions of half floats handle at full
// speed. Extension by the sign leaves a copy of it in the exponent's highest bit, which goes.
Value KernelEmitter::loadFloat8(Value pointer, int64_t width) {
  Type half = intType(16, width);
  Value bits =
      arith::ExtSIOp::create(builder, loc, half, load(pointer, intType(8, width), /*alignment=*/1));
  bits = arith::ShLIOp::create(builder, loc, bits, intConstant(half, 7));
  bits = arith::AndIOp::create(builder, loc, bits, intConstant(half, static_cast<int16_t>(0xbf80)));
  Value halves = bitcast(bits, VectorType::get(width, builder.getF16Type()));
  return arith::ExtFOp::create(builder, loc, floatType(width), halves);
}

//===----------------------------------------------------------------------===//
// Pairs of bf16
//===----------------------------------------------------------------------===//

Value KernelEmitter::loadPair(Value pointer, int64_t count) {
  if (count == 2)
    return load(pointer, builder.getI32Type(), 2);
  return arith::ExtUIOp::create(builder, loc, builder.getI32Type(),
                                load(pointer, builder.getI16Type(), 2));
}

Value KernelEmitter::loadPairs(Value pointer, int64_t width) {
  return load(pointer, intType(32, width), 4);
}

Value KernelEmitter::broadcastPair(Value pair, int64_t width) { return broadcast(pair, width); }

Value KernelEmitter::firstOfPairs(Value pairs) {
  Type wide = pairs.getType();
  Value shifted = arith::ShLIOp::create(builder, loc, pairs, intConstant(wide, 16));
  auto vector = dyn_cast<VectorType>(wide);
  return bitcast(shifted, floatType(vector ? vector.getNumElements() : 0));
}

Value KernelEmitter::secondOfPairs(Value pairs) {
  Type wide = pairs.getType();
  Value masked = arith::AndIOp::create(builder, loc, pairs,
                                       intConstant(wide, static_cast<int32_t>(0xffff0000)));
  auto vector = dyn_cast<VectorType>(wide);
  return bitcast(masked, floatType(vector ? vector.getNumElements() : 0));
}

Value KernelEmitter::dotPairs(Value accumulator, Value a, Value b) {
  auto type = VectorType::get(2 * widthOf(accumulator), builder.getBF16Type());
  return x86vector::DotBF16Op::create(builder, loc, accumulator, bitcast(a, type),
                                      bitcast(b, type));
}

} // namespace epigraph::cpu
