// Integers, memory and control flow of the emitter: arith, llvm pointers (no memref descriptors)
// and scf loops over i64. Floats are in FloatEmission.cpp.
#include "codegen/cpu/KernelEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

/// Scratch memory is aligned to the widest register.
constexpr int64_t kScratchAlignment = 64;

Type pointerType(OpBuilder &builder) { return LLVM::LLVMPointerType::get(builder.getContext()); }

} // namespace

int64_t byteSize(Type elementType) { return elementType.getIntOrFloatBitWidth() / 8; }

Value KernelEmitter::constant(int64_t value) {
  return arith::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(value));
}

Value KernelEmitter::add(Value a, Value b) { return arith::AddIOp::create(builder, loc, a, b); }

Value KernelEmitter::add(Value a, int64_t b) { return b == 0 ? a : add(a, constant(b)); }

Value KernelEmitter::subtract(Value a, Value b) {
  return arith::SubIOp::create(builder, loc, a, b);
}

Value KernelEmitter::multiply(Value a, Value b) {
  return arith::MulIOp::create(builder, loc, a, b);
}

Value KernelEmitter::multiply(Value a, int64_t b) { return b == 1 ? a : multiply(a, constant(b)); }

Value KernelEmitter::divide(Value a, Value b) { return arith::DivUIOp::create(builder, loc, a, b); }

Value KernelEmitter::divide(Value a, int64_t b) { return b == 1 ? a : divide(a, constant(b)); }

Value KernelEmitter::remainder(Value a, Value b) {
  return arith::RemUIOp::create(builder, loc, a, b);
}

Value KernelEmitter::remainder(Value a, int64_t b) {
  return b == 1 ? constant(0) : remainder(a, constant(b));
}

Value KernelEmitter::minimum(Value a, Value b) {
  return arith::MinSIOp::create(builder, loc, a, b);
}

Value KernelEmitter::isLess(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
}

Value KernelEmitter::select(Value condition, Value ifTrue, Value ifFalse) {
  return arith::SelectOp::create(builder, loc, condition, ifTrue, ifFalse);
}

Value KernelEmitter::advance(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(builder, loc, pointerType(builder), builder.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

Value KernelEmitter::advance(Value pointer, int64_t bytes) {
  return bytes == 0 ? pointer : advance(pointer, constant(bytes));
}

Value KernelEmitter::element(Value pointer, Value index, int64_t elementBytes) {
  return advance(pointer, multiply(index, elementBytes));
}

Value KernelEmitter::load(Value pointer, Type type, int64_t alignment) {
  return LLVM::LoadOp::create(builder, loc, type, pointer, alignment);
}

void KernelEmitter::store(Value value, Value pointer, int64_t alignment) {
  LLVM::StoreOp::create(builder, loc, value, pointer, alignment);
}

Value KernelEmitter::loadPointer(Value pointer) { return load(pointer, pointerType(builder), 8); }

Value KernelEmitter::loadI64(Value pointer) { return load(pointer, builder.getI64Type(), 8); }

Value KernelEmitter::loadI32(Value pointer) {
  return arith::ExtSIOp::create(builder, loc, builder.getI64Type(),
                                load(pointer, builder.getI32Type(), 4));
}

void KernelEmitter::storeI32(Value value, Value pointer) {
  store(arith::TruncIOp::create(builder, loc, builder.getI32Type(), value), pointer, 4);
}

void KernelEmitter::prefetch(Value pointer) {
  LLVM::Prefetch::create(builder, loc, pointer, /*rw=*/0, /*hint=*/3, /*cache=*/1);
}

Value KernelEmitter::scratch(int64_t bytes) {
  OpBuilder::InsertionGuard guard(builder);
  Operation *function = builder.getInsertionBlock()->getParentOp();
  while (!function->hasTrait<OpTrait::IsIsolatedFromAbove>())
    function = function->getParentOp();
  builder.setInsertionPointToStart(&function->getRegion(0).front());
  return LLVM::AllocaOp::create(builder, loc, pointerType(builder), builder.getI8Type(),
                                constant(bytes), kScratchAlignment);
}

void KernelEmitter::copyBytes(Value from, Value to, int64_t bytes) {
  auto copy = [&](Value offset, int64_t size) {
    auto type = VectorType::get(size, builder.getI8Type());
    store(load(advance(from, offset), type, 1), advance(to, offset), 1);
  };
  const int64_t full = 4 * width();
  if (bytes >= full)
    forLoop(constant(0), constant(bytes / full * full), full,
            [&](Value offset) { copy(offset, full); });
  int64_t offset = bytes / full * full;
  for (int64_t size = full / 2; size >= 1; size /= 2)
    if (bytes & size) {
      copy(constant(offset), size);
      offset += size;
    }
}

void KernelEmitter::forLoop(Value first, Value last, int64_t step, LoopBody body) {
  auto loop = scf::ForOp::create(builder, loc, first, last, constant(step));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

Values KernelEmitter::forLoop(Value first, Value last, int64_t step, const Values &initial,
                              CarryBody body) {
  auto loop = scf::ForOp::create(builder, loc, first, last, constant(step), initial);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), llvm::to_vector_of<Value>(loop.getRegionIterArgs()));
  scf::YieldOp::create(builder, loc, next);
  return llvm::to_vector_of<Value>(loop.getResults());
}

void KernelEmitter::ifThenElse(Value condition, llvm::function_ref<void()> ifTrue,
                               llvm::function_ref<void()> ifFalse) {
  auto branch = scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  ifTrue();
  builder.setInsertionPointToStart(branch.elseBlock());
  ifFalse();
}

void KernelEmitter::forColumns(int64_t count, llvm::function_ref<void(Value, int64_t)> body) {
  forColumns(count, {}, [&](Value column, int64_t width, const Values &) -> Values {
    body(column, width);
    return {};
  });
}

Values KernelEmitter::forColumns(int64_t count, const Values &initial,
                                 llvm::function_ref<Values(Value, int64_t, Values)> body) {
  const int64_t full = count / width() * width();
  Values carried = initial;
  if (full == width())
    carried = body(constant(0), width(), carried);
  else if (full > 0 && initial.empty())
    forLoop(constant(0), constant(full), width(), [&](Value column) { body(column, width(), {}); });
  else if (full > 0)
    carried =
        forLoop(constant(0), constant(full), width(), carried, [&](Value column, Values values) {
          return body(column, width(), std::move(values));
        });
  int64_t column = full;
  for (int64_t part = width() / 2; part >= 1; part /= 2)
    if (count & part) {
      carried = body(constant(column), part, carried);
      column += part;
    }
  return carried;
}

} // namespace epigraph::cpu
