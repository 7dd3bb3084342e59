// Addresses, loads, stores and atomics of Emitter.
#include "codegen/cuda/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

unsigned spaceOf(Val address) {
  return cast<LLVM::LLVMPointerType>(address.type()).getAddressSpace();
}

int64_t bitsOf(Type type) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.getNumElements() * vector.getElementTypeBitWidth();
  return type.getIntOrFloatBitWidth();
}

/// The state space of `address` as PTX names it, where memory is that of the device.
StringRef spaceName(Val address) { return spaceOf(address) == kShared ? ".shared" : ".global"; }

/// The operand of inline PTX that stands for `address`, and its constraint.
Val addressOperand(Emitter &e, Val address) {
  return spaceOf(address) == kShared ? e.sharedAddress(address) : address;
}
StringRef addressConstraint(Val address) { return spaceOf(address) == kShared ? "r" : "l"; }

} // namespace

Val Emitter::offset(Val address, Val bytes) {
  return wrap(LLVM::GEPOp::create(*b, address.type(), i8(), address,
                                  ArrayRef<LLVM::GEPArg>{LLVM::GEPArg(Value(toI64(bytes)))}));
}

Val Emitter::offset(Val address, int64_t bytes) {
  return bytes == 0 ? address : offset(address, i64(bytes));
}

Val Emitter::at(Val address, Val index, int64_t bytes) {
  return offset(address, toI64(index) * bytes);
}

Val Emitter::load(Type type, Val address, LoadHint hint, int64_t alignment) {
  // Pointers have no width to ask for.
  const int64_t bits = isa<LLVM::LLVMPointerType>(type) ? 0 : bitsOf(type);
  if (hint == LoadHint::Plain || bits < 32 || bits > 128)
    return wrap(LLVM::LoadOp::create(*b, type, address, static_cast<unsigned>(alignment)));
  // LLVM splits invariant vector loads and drops cache hints: say them in PTX.
  const int64_t words = bits / 32;
  std::string code =
      hint == LoadHint::Stream ? "ld.global.nc.L1::no_allocate.L2::256B" : "ld.global.nc";
  std::string names, constraints;
  for (int64_t i = 0; i < words; ++i) {
    names += (i ? ", $" : "$") + std::to_string(i);
    constraints += "=r,";
  }
  code += words == 1 ? ".b32 $0" : ".v" + std::to_string(words) + ".b32 {" + names + "}";
  code += ", [$" + std::to_string(words) + "];";
  SmallVector<Type> types(static_cast<size_t>(words), i32());
  Vals loaded = ptx(types, code, constraints + "l", address, /*effects=*/false);
  return bitcast(type, words == 1 ? loaded[0] : pack(loaded));
}

void Emitter::store(Val value, Val address, int64_t alignment) {
  LLVM::StoreOp::create(*b, value, address, static_cast<unsigned>(alignment));
}

Val Emitter::atomicAdd(Val address, Val value) {
  const bool isFloat = isa<FloatType>(value.type());
  std::string code = ("atom.relaxed.gpu" + spaceName(address) + ".add").str();
  code += isFloat ? ".f32 $0, [$1], $2;" : ".u32 $0, [$1], $2;";
  std::string constraints = (Twine(isFloat ? "=f," : "=r,") + addressConstraint(address) +
                             (isFloat ? ",f" : ",r") + ",~{memory}")
                                .str();
  return ptx(value.type(), code, constraints, {addressOperand(*this, address), value})[0];
}

Val Emitter::loadAcquire(Val address) {
  return ptx(i32(), "ld.acquire.gpu.global.b32 $0, [$1];", "=r,l,~{memory}", address)[0];
}

void Emitter::storeRelease(Val value, Val address) {
  ptx({}, "st.release.gpu.global.b32 [$0], $1;", "l,r,~{memory}", {address, value});
}

void Emitter::addRelease(Val value, Val address) {
  ptx({}, "red.release.gpu.global.add.u32 [$0], $1;", "l,r,~{memory}", {address, value});
}

void Emitter::threadFence() { ptx({}, "fence.acq_rel.gpu;", "~{memory}", {}); }

Val Emitter::sharedMemory() {
  return wrap(LLVM::AddressOfOp::create(*b, pointer(kShared), kSharedMemoryName));
}

Val Emitter::sharedAddress(Val pointer) {
  return wrap(LLVM::PtrToIntOp::create(*b, i32(), pointer));
}

} // namespace epigraph::cuda
