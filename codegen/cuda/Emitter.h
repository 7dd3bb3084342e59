// A thin layer over scf, arith, math and llvm operations in which GPU kernels are written: values
// with operators, loops and branches as C++ lambdas, memory by address and byte offset. What only
// Hopper has (barriers in shared memory, tensor maps, wgmma) is in Hopper.h.
//
// Integers are 32 bits wide unless said otherwise. Division, remainder and right shift are
// unsigned, comparisons signed: indices are never negative, and -1 marks what is absent.
#ifndef EPIGRAPH_CODEGEN_CUDA_EMITTER_H
#define EPIGRAPH_CODEGEN_CUDA_EMITTER_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <string>

namespace epigraph::cuda {

class Emitter;

/// A value of the kernel under construction.
class Val {
public:
  Val() = default;
  Val(Emitter &emitter, mlir::Value value) : emitter(&emitter), value(value) {}

  operator mlir::Value() const { return value; }
  mlir::Type type() const { return value.getType(); }
  explicit operator bool() const { return static_cast<bool>(value); }
  Emitter &owner() const { return *emitter; }

private:
  Emitter *emitter = nullptr;
  mlir::Value value;
};

using Vals = llvm::SmallVector<Val>;

// Operators on integers, floats and vectors of them; both sides have one type. A C++ integer takes
// the type of the other side.
Val operator+(Val a, Val b);
Val operator-(Val a, Val b);
Val operator*(Val a, Val b);
Val operator/(Val a, Val b);
Val operator%(Val a, Val b);
Val operator&(Val a, Val b);
Val operator|(Val a, Val b);
Val operator^(Val a, Val b);
Val operator<<(Val a, int64_t bits);
Val operator>>(Val a, int64_t bits);
Val operator+(Val a, int64_t b);
Val operator-(Val a, int64_t b);
Val operator*(Val a, int64_t b);
Val operator/(Val a, int64_t b);
Val operator%(Val a, int64_t b);
Val operator&(Val a, int64_t b);
Val operator|(Val a, int64_t b);
Val operator^(Val a, int64_t b);
Val operator==(Val a, Val b);
Val operator!=(Val a, Val b);
Val operator<(Val a, Val b);
Val operator<=(Val a, Val b);
Val operator>(Val a, Val b);
Val operator>=(Val a, Val b);
Val operator==(Val a, int64_t b);
Val operator!=(Val a, int64_t b);
Val operator<(Val a, int64_t b);
Val operator<=(Val a, int64_t b);
Val operator>(Val a, int64_t b);
Val operator>=(Val a, int64_t b);

/// Address spaces of LLVM's NVPTX back end.
enum AddressSpace : unsigned { kGeneric = 0, kGlobal = 1, kShared = 3, kSharedCluster = 7 };

/// The symbol of the dynamic shared memory of all kernels of a module.
inline constexpr llvm::StringLiteral kSharedMemoryName = "shared_memory";

/// How a load from global memory is cached.
enum class LoadHint {
  Plain,
  ReadOnly, ///< nothing writes it while the kernel runs, nor the kernel before it
  Stream,   ///< as ReadOnly, read once: kept out of L1, fetched in 256-byte pieces
};

class Emitter {
public:
  explicit Emitter(mlir::ImplicitLocOpBuilder &builder) : b(&builder) {}
  Emitter(const Emitter &) = delete;
  Emitter &operator=(const Emitter &) = delete;

  mlir::ImplicitLocOpBuilder &builder() { return *b; }
  mlir::MLIRContext *context() { return b->getContext(); }
  Val wrap(mlir::Value value) { return Val(*this, value); }

  // Types.
  mlir::Type i1() { return b->getI1Type(); }
  mlir::Type i8() { return b->getI8Type(); }
  mlir::Type i16() { return b->getIntegerType(16); }
  mlir::Type i32() { return b->getI32Type(); }
  mlir::Type i64() { return b->getI64Type(); }
  mlir::Type f16() { return b->getF16Type(); }
  mlir::Type bf16() { return b->getBF16Type(); }
  mlir::Type f32() { return b->getF32Type(); }
  mlir::Type vector(mlir::Type element, int64_t size) {
    return mlir::VectorType::get({size}, element);
  }
  mlir::Type pointer(unsigned space = kGeneric);
  /// An LLVM struct of `types`: what inline assembly with several results returns.
  mlir::Type structOf(llvm::ArrayRef<mlir::Type> types);

  // Constants.
  Val constant(mlir::Type type, int64_t value); ///< integer, float, or a vector of either
  Val i32(int64_t value) { return constant(i32(), value); }
  Val i64(int64_t value) { return constant(i64(), value); }
  Val f32(double value);
  Val boolean(bool value);
  Val undefined(mlir::Type type);

  // Conversions.
  Val toI64(Val x); ///< zero-extends
  Val toI32(Val x); ///< truncates, or zero-extends what is narrower (i1 included)
  Val toF32(Val x); ///< from bf16, f16 or f32; vectors too. From i32: signed
  /// From f32 to `element` (bf16, f16, f32), rounded to nearest even; vectors too.
  Val fromF32(Val x, mlir::Type element);
  /// Two f32 to two e4m3 in an i16, saturated, `low` in the low byte.
  Val packE4m3(Val low, Val high);
  /// Two e4m3 in an i16 to two f32.
  std::pair<Val, Val> unpackE4m3(Val pair);
  Val bitcast(mlir::Type type, Val x);
  /// Two f32 to two of `element` (bf16, f16) in an i32, `low` in the low half.
  Val packHalves(Val low, Val high, mlir::Type element);
  /// `x` (i32) by an instruction that stays where it is: what is computed of it in a loop is not
  /// moved out of the loop, where it would hold registers.
  Val opaque(Val x);

  // Arithmetic.
  Val select(Val condition, Val a, Val b);
  Val minimum(Val a, Val b); ///< signed, or of floats (a NaN gives way to a number)
  Val maximum(Val a, Val b);
  Val fma(Val a, Val b, Val c); ///< a * b + c, rounded once
  Val negate(Val x);
  Val abs(Val x);
  Val exp2(Val x);              ///< approximate (2 ulp)
  Val exp(Val x);               ///< exp2 of x log2(e)
  Val log2(Val x);              ///< approximate
  Val reciprocal(Val x);        ///< approximate (1 ulp)
  Val rsqrt(Val x);             ///< approximate
  Val divide(Val a, Val b);     ///< of floats, approximate: a * reciprocal(b)
  Val sigmoid(Val x);           ///< 1 / (1 + exp(-x))
  Val logicalAnd(Val a, Val b); ///< of i1
  Val logicalOr(Val a, Val b);
  Val logicalNot(Val a);
  Val ceilDiv(Val a, int64_t b) { return (a + (b - 1)) / b; }

  // Vectors and structs.
  Val pack(llvm::ArrayRef<Val> elements); ///< a vector of equal types
  Val element(Val vector, int64_t index);
  Vals elements(Val vector);
  Val field(Val structure, int64_t index);

  // Memory. Addresses are byte addresses; offsets are i32, i64 or C++ integers.
  Val offset(Val address, Val bytes);
  Val offset(Val address, int64_t bytes);
  /// address + index * bytes, computed in 64 bits.
  Val at(Val address, Val index, int64_t bytes);
  /// `alignment` 0: that of the type.
  Val load(mlir::Type type, Val address, LoadHint hint = LoadHint::Plain, int64_t alignment = 0);
  void store(Val value, Val address, int64_t alignment = 0);
  Val atomicAdd(Val address, Val value); ///< i32 or f32, relaxed, of the device; the old value
  /// i32 with acquire or release order among the threads of the device.
  Val loadAcquire(Val address);
  void storeRelease(Val value, Val address);
  void addRelease(Val value, Val address);
  void threadFence(); ///< fence.acq_rel.gpu
  /// The dynamic shared memory of the block, aligned to 1024 bytes.
  Val sharedMemory();
  /// The 32-bit address of something in shared memory.
  Val sharedAddress(Val pointer);

  // Control.
  Vals forLoop(Val lower, Val upper, Val step, llvm::ArrayRef<Val> initial,
               llvm::function_ref<Vals(Val index, llvm::ArrayRef<Val> carried)> body);
  /// Without carried values.
  void forEach(Val lower, Val upper, Val step, llvm::function_ref<void(Val index)> body);
  /// Repeats `body` while `condition` holds of the carried values.
  Vals whileLoop(llvm::ArrayRef<Val> initial,
                 llvm::function_ref<Val(llvm::ArrayRef<Val>)> condition,
                 llvm::function_ref<Vals(llvm::ArrayRef<Val>)> body);
  void ifThen(Val condition, llvm::function_ref<void()> then);
  void ifElse(Val condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise);
  Vals ifValues(Val condition, llvm::function_ref<Vals()> then,
                llvm::function_ref<Vals()> otherwise);

  // Threads.
  Val threadId();
  Val blockId();
  Val blockCount();
  Val lane() { return threadId() & 31; }
  Val warp() { return threadId() >> 5; }
  void syncThreads();
  void syncWarp();
  /// bar.sync: `threads` threads meet at barrier `id` (1..15; 0 is syncThreads).
  void meet(Val id, int64_t threads);
  /// bar.arrive: counts as one of them, and goes on.
  void arriveAt(Val id, int64_t threads);
  Val shuffleXor(Val x, int64_t mask);
  Val shuffle(Val x, Val lane);
  Val shuffleUp(Val x, int64_t distance);
  Val any(Val condition);    ///< of the warp
  Val ballot(Val condition); ///< i32, a bit for each lane
  Val popCount(Val x);
  /// Over the `lanes` (a power of two) neighbours of each lane; every lane gets the result.
  Val warpSum(Val x, int64_t lanes = 32);
  Val warpMax(Val x, int64_t lanes = 32);
  /// Over the block; every thread gets the result. All threads must take part. `scratch`: shared
  /// memory, 4 bytes a warp; a barrier must stand between the call and another use of it than this.
  Val blockSum(Val x, Val scratch, int64_t threads);
  Val blockMax(Val x, Val scratch, int64_t threads);

  // Programmatic dependent launch. Both do nothing in a kernel launched otherwise.
  /// Waits until the kernel before has ended and its results are there.
  void waitForPrevious();
  /// Lets the next kernel start, beside this one. The first thing that most kernels do, so that
  /// several are there when a long one ends, and those with weights have asked for them.
  void allowNext();

  /// Inline PTX; `results` may be empty. `effects`: must not be moved, merged or dropped. It may
  /// read and write memory if `constraints` has ~{memory}.
  Vals ptx(llvm::ArrayRef<mlir::Type> results, llvm::StringRef code, llvm::StringRef constraints,
           llvm::ArrayRef<Val> operands, bool effects = true);

private:
  /// Emits at the start of a region that `builder` stands in.
  template <typename Body> auto within(mlir::OpBuilder &builder, mlir::Location loc, Body body);

  mlir::ImplicitLocOpBuilder *b;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_EMITTER_H
