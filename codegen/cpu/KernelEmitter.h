// The vocabulary that CPU kernels are written in: 64-bit integers, byte addresses, float32 vectors
// of one dimension, loops. Everything maps one to one onto instructions; nothing here knows what a
// kernel computes. Dialect headers stay in the .cpp files, so that kernel builders compile fast.
//
// Floating-point is exact in its order: nothing is reassociated and only `fma` contracts, so a
// value does not depend on the width or the tile that computed it.
#ifndef EPIGRAPH_CODEGEN_CPU_KERNELEMITTER_H
#define EPIGRAPH_CODEGEN_CPU_KERNELEMITTER_H

#include "codegen/target/CpuTarget.h"
#include "mlir/IR/Builders.h"

namespace epigraph::cpu {

using mlir::Value;
using Values = llvm::SmallVector<Value>;

/// Bytes of one element of a tensor: f32 and i32 4, bf16 2, f8E4M3FN 1.
int64_t byteSize(mlir::Type elementType);

/// What loadFloat8 leaves to the caller to multiply by, who multiplies by a scale in any case.
inline constexpr double kFloat8Unit = 256.0;

/// Emits code at an insertion point. "Floats" below are float32, a scalar or a vector of one
/// dimension; operations take operands of one type. Integers are i64 unless said otherwise.
class KernelEmitter {
public:
  KernelEmitter(mlir::OpBuilder &builder, mlir::Location loc, const CpuTarget &target)
      : builder(builder), loc(loc), cpuTarget(target) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;

  const CpuTarget &target() const { return cpuTarget; }
  /// float32 elements of a full vector.
  int64_t width() const { return cpuTarget.vectorWidth; }

  // --- Integers (i64; add, minimum and isLess also take vectors of i32) ------------------------
  Value constant(int64_t value);
  Value add(Value a, Value b);
  Value add(Value a, int64_t b);
  Value subtract(Value a, Value b);
  Value multiply(Value a, Value b);
  Value multiply(Value a, int64_t b);
  /// Quotient and remainder of values that are not negative.
  Value divide(Value a, Value b);
  Value divide(Value a, int64_t b);
  Value remainder(Value a, Value b);
  Value remainder(Value a, int64_t b);
  Value minimum(Value a, Value b);
  Value isLess(Value a, Value b);
  Value select(Value condition, Value ifTrue, Value ifFalse);

  // --- Memory -----------------------------------------------------------------------------------
  /// The address `bytes` after `pointer`.
  Value advance(Value pointer, Value bytes);
  Value advance(Value pointer, int64_t bytes);
  /// The address of element `index` of `elementBytes` bytes.
  Value element(Value pointer, Value index, int64_t elementBytes);
  Value loadPointer(Value pointer);
  Value loadI64(Value pointer);
  /// The i32 at `pointer`, as i64.
  Value loadI32(Value pointer);
  /// Stores the low half of an i64.
  void storeI32(Value value, Value pointer);
  void prefetch(Value pointer);
  /// `bytes` of stack, aligned for vectors; allocated once at the function's entry.
  Value scratch(int64_t bytes);
  void copyBytes(Value from, Value to, int64_t bytes);

  /// Elements [0, width) at `pointer`, converted to float32. i32 elements come as their bits.
  Value loadFloats(Value pointer, mlir::Type elementType, int64_t width);
  /// The first `count` of `width` elements; zeros behind them, of which nothing is read.
  Value loadPartial(Value pointer, int64_t count, mlir::Type elementType, int64_t width);
  /// One element, as a scalar.
  Value loadFloat(Value pointer, mlir::Type elementType);
  /// Stores a vector; to bf16 it rounds to nearest even.
  void storeFloats(Value vector, Value pointer, mlir::Type elementType);
  /// Stores the first `count` elements of a vector.
  void storePartial(Value vector, int64_t count, Value pointer, mlir::Type elementType);
  /// Stores a scalar.
  void storeFloat(Value scalar, Value pointer, mlir::Type elementType);

  // --- Floats -----------------------------------------------------------------------------------
  /// A constant: a vector of `width`, or a scalar where `width` is 0.
  Value number(double value, int64_t width);
  Value broadcast(Value scalar, int64_t width);
  Value addFloats(Value a, Value b);
  Value subtractFloats(Value a, Value b);
  Value multiplyFloats(Value a, Value b);
  Value divideFloats(Value a, Value b);
  Value negate(Value a);
  /// a * b + c, rounded once.
  Value fma(Value a, Value b, Value c);
  Value squareRoot(Value a);
  /// The larger of both; `b` where one is NaN. A NaN is a number like any other here, never
  /// undefined.
  Value maximumFloats(Value a, Value b);
  Value minimumFloats(Value a, Value b);
  /// i1 (or a vector of it): a > b.
  Value isGreater(Value a, Value b);
  /// i1 (or a vector of it): a == b.
  Value isEqualFloats(Value a, Value b);
  /// e^a to 1.5e-7 relative, between 2^-126 and 2^127.
  Value exponential(Value a);
  /// The nearest bf16 of each, as float32.
  Value roundToBf16(Value a);

  // --- Vectors ----------------------------------------------------------------------------------
  int64_t widthOf(Value vector);
  /// Elements `indices` of `a` followed by `b`.
  Value shuffle(Value a, Value b, llvm::ArrayRef<int64_t> indices);
  Value slice(Value vector, int64_t first, int64_t count);
  /// `vector` with zeros behind it, up to `width` elements.
  Value padWithZeros(Value vector, int64_t width);
  /// The sum of all elements, added as a tree of halves.
  Value sumOf(Value vector);
  Value maximumOf(Value vector);
  /// first, first + 1, ... as i32 elements.
  Value iota(int64_t first, int64_t width);
  /// An i64 as a vector of i32.
  Value broadcastI32(Value value, int64_t width);
  /// The least element of a vector of i32, as i64.
  Value minimumOfI32(Value vector);

  // --- 8-bit floats -----------------------------------------------------------------------------
  /// `width` values of type f8E4M3FN as float32, in units of kFloat8Unit: value / kFloat8Unit,
  /// exact. NaN becomes 480.
  Value loadFloat8(Value pointer, int64_t width);

  // --- Dot products of bf16 pairs ---------------------------------------------------------------
  /// Two neighbouring bf16 as one i32 (low half first). `count` 1 reads one and takes 0 as the
  /// second.
  Value loadPair(Value pointer, int64_t count = 2);
  /// A vector of pairs, as i32.
  Value loadPairs(Value pointer, int64_t width);
  Value broadcastPair(Value pair, int64_t width);
  /// The first (low) or second element of each pair, as float32. `pairs`: i32, scalar or vector.
  Value firstOfPairs(Value pairs);
  Value secondOfPairs(Value pairs);
  /// accumulator + a.first * b.first + a.second * b.second, by the dot instruction (16 wide).
  Value dotPairs(Value accumulator, Value a, Value b);

  // --- Control ----------------------------------------------------------------------------------
  using LoopBody = llvm::function_ref<void(Value index)>;
  using CarryBody = llvm::function_ref<Values(Value index, Values carried)>;
  void forLoop(Value first, Value last, int64_t step, LoopBody body);
  /// A loop that carries values; `body` returns the next ones, the result is the last ones.
  Values forLoop(Value first, Value last, int64_t step, const Values &initial, CarryBody body);
  void ifThenElse(Value condition, llvm::function_ref<void()> ifTrue,
                  llvm::function_ref<void()> ifFalse);
  /// Columns [0, count) in vectors: a loop over full ones, then powers of two.
  void forColumns(int64_t count, llvm::function_ref<void(Value column, int64_t width)> body);
  /// The same, carrying values.
  Values forColumns(int64_t count, const Values &initial,
                    llvm::function_ref<Values(Value column, int64_t width, Values carried)> body);

private:
  mlir::Type floatType(int64_t width);
  mlir::Type intType(unsigned bits, int64_t width);
  /// `bits` of the type of `like` in shape (scalar or vector).
  mlir::Type intTypeLike(Value like, unsigned bits);
  Value intConstant(mlir::Type type, int64_t value);
  Value bitcast(Value value, mlir::Type type);
  Value load(Value pointer, mlir::Type type, int64_t alignment);
  void store(Value value, Value pointer, int64_t alignment);
  /// The upper halves of float32 bits after rounding to nearest even, as i16.
  Value bf16Bits(Value floats);
  /// Float32 whose upper halves are the i16 `bits`.
  Value floatsOfBf16(Value bits);
  Value fold(Value vector, llvm::function_ref<Value(Value, Value)> combine);

  const CpuTarget &cpuTarget;
};

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_KERNELEMITTER_H
