#include "codegen/cuda/Emitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <numbers>

using namespace mlir;

namespace epigraph::cuda {
namespace {

bool isFloat(Val value) { return isa<FloatType>(getElementTypeOrSelf(value.type())); }

/// `type` with elements of `element`.
Type withElement(Type type, Type element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return VectorType::get(vector.getShape(), element);
  return element;
}

/// The operation of integers or of floats.
template <typename IntegerOp, typename FloatOp> Val binary(Val a, Val b) {
  Emitter &e = a.owner();
  if (isFloat(a))
    return e.wrap(FloatOp::create(e.builder(), a, b));
  return e.wrap(IntegerOp::create(e.builder(), a, b));
}

template <typename IntegerOp> Val integer(Val a, Val b) {
  Emitter &e = a.owner();
  return e.wrap(IntegerOp::create(e.builder(), a, b));
}

Val compare(Val a, Val b, arith::CmpIPredicate integers, arith::CmpFPredicate floats) {
  Emitter &e = a.owner();
  if (isFloat(a))
    return e.wrap(arith::CmpFOp::create(e.builder(), floats, a, b));
  return e.wrap(arith::CmpIOp::create(e.builder(), integers, a, b));
}

Val like(Val a, int64_t constant) { return a.owner().constant(a.type(), constant); }

} // namespace

Val operator+(Val a, Val b) { return binary<arith::AddIOp, arith::AddFOp>(a, b); }
Val operator-(Val a, Val b) { return binary<arith::SubIOp, arith::SubFOp>(a, b); }
Val operator*(Val a, Val b) { return binary<arith::MulIOp, arith::MulFOp>(a, b); }
Val operator/(Val a, Val b) { return binary<arith::DivUIOp, arith::DivFOp>(a, b); }
Val operator%(Val a, Val b) { return integer<arith::RemUIOp>(a, b); }
Val operator&(Val a, Val b) { return integer<arith::AndIOp>(a, b); }
Val operator|(Val a, Val b) { return integer<arith::OrIOp>(a, b); }
Val operator^(Val a, Val b) { return integer<arith::XOrIOp>(a, b); }
Val operator<<(Val a, int64_t bits) { return integer<arith::ShLIOp>(a, like(a, bits)); }
Val operator>>(Val a, int64_t bits) { return integer<arith::ShRUIOp>(a, like(a, bits)); }
Val operator+(Val a, int64_t b) { return a + like(a, b); }
Val operator-(Val a, int64_t b) { return a - like(a, b); }
Val operator*(Val a, int64_t b) { return a * like(a, b); }
Val operator/(Val a, int64_t b) { return a / like(a, b); }
Val operator%(Val a, int64_t b) { return a % like(a, b); }
Val operator&(Val a, int64_t b) { return a & like(a, b); }
Val operator|(Val a, int64_t b) { return a | like(a, b); }
Val operator^(Val a, int64_t b) { return a ^ like(a, b); }

Val operator==(Val a, Val b) {
  return compare(a, b, arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ);
}
Val operator!=(Val a, Val b) {
  return compare(a, b, arith::CmpIPredicate::ne, arith::CmpFPredicate::UNE);
}
Val operator<(Val a, Val b) {
  return compare(a, b, arith::CmpIPredicate::slt, arith::CmpFPredicate::OLT);
}
Val operator<=(Val a, Val b) {
  return compare(a, b, arith::CmpIPredicate::sle, arith::CmpFPredicate::OLE);
}
Val operator>(Val a, Val b) { return b < a; }
Val operator>=(Val a, Val b) { return b <= a; }
Val operator==(Val a, int64_t b) { return a == like(a, b); }
Val operator!=(Val a, int64_t b) { return a != like(a, b); }
Val operator<(Val a, int64_t b) { return a < like(a, b); }
Val operator<=(Val a, int64_t b) { return a <= like(a, b); }
Val operator>(Val a, int64_t b) { return a > like(a, b); }
Val operator>=(Val a, int64_t b) { return a >= like(a, b); }

Type Emitter::pointer(unsigned space) { return LLVM::LLVMPointerType::get(context(), space); }

Type Emitter::structOf(ArrayRef<Type> types) {
  return LLVM::LLVMStructType::getLiteral(context(), types);
}

Val Emitter::constant(Type type, int64_t value) {
  TypedAttr scalar;
  Type element = getElementTypeOrSelf(type);
  if (isa<FloatType>(element))
    scalar = b->getFloatAttr(element, static_cast<double>(value));
  else
    scalar = b->getIntegerAttr(element, value);
  if (auto vector = dyn_cast<VectorType>(type))
    scalar = DenseElementsAttr::get(vector, Attribute(scalar));
  return wrap(arith::ConstantOp::create(*b, scalar));
}

Val Emitter::f32(double value) {
  return wrap(arith::ConstantOp::create(*b, b->getF32FloatAttr(static_cast<float>(value))));
}

Val Emitter::boolean(bool value) {
  return wrap(arith::ConstantOp::create(*b, b->getBoolAttr(value)));
}

Val Emitter::undefined(Type type) { return wrap(LLVM::UndefOp::create(*b, type)); }

Val Emitter::toI64(Val x) {
  return x.type() == i64() ? x : wrap(arith::ExtUIOp::create(*b, i64(), x));
}

Val Emitter::toI32(Val x) {
  const unsigned width = x.type().getIntOrFloatBitWidth();
  if (width == 32)
    return x;
  if (width > 32)
    return wrap(arith::TruncIOp::create(*b, i32(), x));
  return wrap(arith::ExtUIOp::create(*b, i32(), x));
}

Val Emitter::toF32(Val x) {
  Type type = withElement(x.type(), f32());
  if (x.type() == type)
    return x;
  if (!isFloat(x))
    return wrap(arith::SIToFPOp::create(*b, type, x));
  return wrap(arith::ExtFOp::create(*b, TypeRange{type}, ValueRange{x}));
}

Val Emitter::fromF32(Val x, Type element) {
  Type type = withElement(x.type(), element);
  if (x.type() == type)
    return x;
  return wrap(arith::TruncFOp::create(*b, TypeRange{type}, ValueRange{x}));
}

Val Emitter::packE4m3(Val low, Val high) {
  return ptx(i16(), "cvt.rn.satfinite.e4m3x2.f32 $0, $1, $2;", "=h,f,f", {high, low},
             /*effects=*/false)[0];
}

std::pair<Val, Val> Emitter::unpackE4m3(Val pair) {
  Val halves = ptx(i32(), "cvt.rn.f16x2.e4m3x2 $0, $1;", "=r,h", pair, /*effects=*/false)[0];
  Val both = toF32(bitcast(vector(f16(), 2), halves));
  return {element(both, 0), element(both, 1)};
}

Val Emitter::bitcast(Type type, Val x) {
  return x.type() == type ? x : wrap(LLVM::BitcastOp::create(*b, type, x));
}

Val Emitter::packHalves(Val low, Val high, Type element) {
  return bitcast(i32(), fromF32(pack({low, high}), element));
}

Val Emitter::opaque(Val x) { return ptx(i32(), "mov.b32 $0, $1;", "=r,r", x)[0]; }

Val Emitter::select(Val condition, Val a, Val other) {
  return wrap(arith::SelectOp::create(*b, condition, a, other));
}

Val Emitter::minimum(Val a, Val other) {
  return binary<arith::MinSIOp, arith::MinNumFOp>(a, other);
}
Val Emitter::maximum(Val a, Val other) {
  return binary<arith::MaxSIOp, arith::MaxNumFOp>(a, other);
}
Val Emitter::fma(Val a, Val factor, Val c) { return wrap(math::FmaOp::create(*b, a, factor, c)); }
Val Emitter::negate(Val x) { return wrap(arith::NegFOp::create(*b, x)); }
Val Emitter::abs(Val x) { return wrap(math::AbsFOp::create(*b, x)); }

Val Emitter::exp2(Val x) { return wrap(math::Exp2Op::create(*b, x, arith::FastMathFlags::afn)); }

Val Emitter::exp(Val x) { return exp2(x * f32(std::numbers::log2e)); }

Val Emitter::log2(Val x) {
  return ptx(f32(), "lg2.approx.f32 $0, $1;", "=f,f", x, /*effects=*/false)[0];
}

Val Emitter::reciprocal(Val x) {
  return ptx(f32(), "rcp.approx.f32 $0, $1;", "=f,f", x, /*effects=*/false)[0];
}

Val Emitter::rsqrt(Val x) {
  return ptx(f32(), "rsqrt.approx.f32 $0, $1;", "=f,f", x, /*effects=*/false)[0];
}

Val Emitter::divide(Val a, Val divisor) { return a * reciprocal(divisor); }
Val Emitter::sigmoid(Val x) { return reciprocal(exp(negate(x)) + f32(1)); }
Val Emitter::logicalAnd(Val a, Val other) { return a & other; }
Val Emitter::logicalOr(Val a, Val other) { return a | other; }
Val Emitter::logicalNot(Val a) { return a ^ boolean(true); }

Val Emitter::pack(ArrayRef<Val> elements) {
  Type type = vector(elements[0].type(), static_cast<int64_t>(elements.size()));
  Val packed = undefined(type);
  for (auto [index, value] : llvm::enumerate(elements))
    packed =
        wrap(LLVM::InsertElementOp::create(*b, packed, value, i32(static_cast<int64_t>(index))));
  return packed;
}

Val Emitter::element(Val vector, int64_t index) {
  return wrap(LLVM::ExtractElementOp::create(*b, vector, i32(index)));
}

Vals Emitter::elements(Val vector) {
  Vals all;
  for (int64_t i = 0; i < cast<VectorType>(vector.type()).getNumElements(); ++i)
    all.push_back(element(vector, i));
  return all;
}

Val Emitter::field(Val structure, int64_t index) {
  return wrap(LLVM::ExtractValueOp::create(*b, structure, ArrayRef<int64_t>{index}));
}

Vals Emitter::ptx(ArrayRef<Type> results, StringRef code, StringRef constraints,
                  ArrayRef<Val> operands, bool effects) {
  SmallVector<Value> values(operands.begin(), operands.end());
  SmallVector<Type, 1> type;
  if (results.size() == 1)
    type.push_back(results[0]);
  else if (!results.empty())
    type.push_back(structOf(results));
  auto op = LLVM::InlineAsmOp::create(*b, type, values, code, constraints, effects,
                                      /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                      LLVM::AsmDialectAttr(), ArrayAttr());
  Vals all;
  if (results.size() == 1)
    all.push_back(wrap(op.getResult(0)));
  for (size_t i = 0; results.size() > 1 && i < results.size(); ++i)
    all.push_back(field(wrap(op.getResult(0)), static_cast<int64_t>(i)));
  return all;
}

} // namespace epigraph::cuda
