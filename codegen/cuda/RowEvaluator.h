// Evaluates the expressions of a row kernel for one row: what this thread's chunks hold of each
// value, in registers, as float32.
#ifndef EPIGRAPH_CODEGEN_CUDA_ROWEVALUATOR_H
#define EPIGRAPH_CODEGEN_CUDA_ROWEVALUATOR_H

#include "codegen/cuda/ChosenRows.h"
#include "codegen/cuda/RowChunks.h"

namespace epigraph::cuda {

/// Elements over which `op` reduces within a row, so that a repetition must not cross a multiple of
/// them: columns of a norm by head, the block of a quantization. 0: none.
int64_t periodOf(mlir::Operation &op);
/// That of all of `ops` together; 0 if there is none, or if they differ.
int64_t periodOf(llvm::ArrayRef<mlir::Operation *> ops);
/// That of the operations that `value` is computed by, where they may differ.
int64_t periodOf(mlir::Value value);

/// Whether `op` needs a whole row before its value is known anywhere.
bool needsWholeRow(mlir::Operation &op);
/// Bytes of shared memory that `kernel` needs for rows that threads of several warps share.
int64_t sharedBytesOf(exec::KernelOp kernel, const RowThreads &threads);

/// Where the token of a row is, in kernels that rotate or append; values that it lacks are null.
struct TokenPlace {
  Val position; ///< in its sequence, i32
  Val slot;     ///< entries before its own in every cache, i64
};

/// The diagnostic for an operation that RowEvaluator::unsupported returned.
mlir::LogicalResult reportCrossed(exec::KernelOp kernel, mlir::Operation *unsupported);

class RowEvaluator {
public:
  /// `period`: of the operations that are evaluated, together. `row` exists where `rowExists` (i1),
  /// and can be read in any case. `thread`: of `threads` of the row, this one, counted through all
  /// blocks.
  RowEvaluator(KernelFrame &frame, RowLayout &layout, const RowThreads &threads, int64_t period,
               Val row, Val rowExists, Val thread, TokenPlace token = {});

  /// From here on, what is stored goes to `places`, rows of the kernel's results, of which there
  /// are `ofRow` for each row of the launch. At first it goes to the row's own.
  void storeTo(llvm::ArrayRef<Val> places, int64_t ofRow);

  /// Emits what `op` needs of the whole row: afterwards its value can be evaluated.
  void prepare(mlir::Operation &op);
  /// Stores `value` as result `index` of the kernel.
  void store(mlir::Value value, unsigned index);
  /// Stores the row of `value`, rounded as its type is, at `target`.
  void keep(mlir::Value value, Val target);
  /// From here on, the row of `value` is loaded from `source`, where another evaluator kept it.
  void take(mlir::Value value, Val source);
  /// Stores `part`, an operand of `append`, in the token's entry, `offset` elements from its start.
  void storeEntry(epi::KvAppendOp append, mlir::Value part, int64_t offset);

  /// An operation that reduces over parts of a row which no group of lanes has; null if all is
  /// well.
  mlir::Operation *unsupported() const { return crossed; }

private:
  using Body = llvm::function_ref<Vals(const Run &, Chunk &, llvm::ArrayRef<Val>)>;

  int64_t period(mlir::Value value) const;

  // Walks over the chunks of a value.
  Vals overValue(mlir::Value value, llvm::ArrayRef<Val> carried, Body body);
  Vals overRun(const Run &run, bool grouped, llvm::ArrayRef<Val> carried, Body body);
  Chunk &keptChunk(const ChunkGrid &grid, int64_t pass);

  // Reductions over the whole row.
  void reduce(epi::RmsNormOp norm);
  void reduce(epi::SoftmaxOp softmax);
  Val rowSum(Val x);
  Val rowMax(Val x);
  Val combineOverWarps(Val ofWarp, llvm::function_ref<Val(Val, Val)> combine);
  Val scratch();

  // Reductions over a repetition.
  bool coversPeriod(mlir::Operation *op, mlir::Value reduced, Position at, const Chunk &chunk);
  Val headFactor(epi::RmsNormOp norm, Position at, Chunk &chunk);
  Val blockScale(epi::QuantizeOp quantize, Position at, Chunk &chunk);

  // Values. They are in float32, one for each element of the chunk.
  Vals evaluate(mlir::Value value, Position at, Chunk &chunk);        ///< rounded as its type is
  Vals evaluateExactly(mlir::Value value, Position at, Chunk &chunk); ///< as it is computed
  Vals evaluateOperand(mlir::OpOperand &operand, Position at, Chunk &chunk);
  Vals compute(mlir::Value value, Position at, Chunk &chunk);
  Vals load(const TensorView &view, Val fromRow, Position at, Chunk &chunk);
  Vals exponentials(epi::SoftmaxOp softmax, Position at, Chunk &chunk);
  Vals rotate(epi::RopeOp rope, Position at, Chunk &chunk);
  Vals rotateNeighbours(epi::RopeOp rope, Position at, Chunk &chunk);
  Vals rotateHalves(epi::RopeOp rope, Position at, Chunk &chunk);
  std::pair<Vals, Vals> angles(epi::RopeOp rope, Val first, int64_t count);
  Vals masked(Chunk &chunk, llvm::ArrayRef<Val> values, double neutral);

  // Stores.
  void storeFloatsAt(mlir::Type element, llvm::ArrayRef<Val> values,
                     llvm::ArrayRef<Val> rowAddresses, Position at, int64_t rowElements,
                     Chunk &chunk);
  void storeQuantized(epi::QuantizeOp quantize, unsigned index, Position at, Chunk &chunk);
  void storeScale(epi::QuantizeOp quantize, unsigned index, Position at, Chunk &chunk);
  Val elementIndex(Position at, const Chunk &chunk);
  void forPieces(Position at, int64_t rowElements, Chunk &chunk,
                 llvm::function_ref<void(int64_t first, int64_t count, Val position)> body);

  KernelFrame &frame;
  Emitter &e;
  RowLayout &layout;
  const RowThreads &threads;
  Val row, rowExists, thread;
  const TokenPlace token;
  const int64_t commonPeriod;
  /// What whole rows gave each operation.
  std::map<mlir::Operation *, Vals> prepared;
  std::map<mlir::Operation *, ChosenRows> chosen; ///< of each epi.unpermute
  std::map<void *, Val> taken;                    ///< addresses of rows
  Vals places; ///< rows of the results that the values are stored to
  int64_t placesOfRow = 1;
  /// Chunks whose values stay in registers from one walk to the next.
  std::map<std::tuple<std::tuple<int64_t, int64_t, int64_t>, int64_t>, Chunk> chunks;
  int64_t scratches = 0;
  mlir::Operation *crossed = nullptr;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ROWEVALUATOR_H
