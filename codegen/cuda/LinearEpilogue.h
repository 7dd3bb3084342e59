// What becomes of a projection's products before they are stored: the bias, the elementwise
// operations of its kernel, and quantization. Evaluated on float32 sums in registers, for a few
// neighbouring columns of one row at a time.
//
// Values are rounded where the reference rounds them: what the projection and each operation makes,
// to the element type of its result.
#ifndef EPIGRAPH_CODEGEN_CUDA_LINEAREPILOGUE_H
#define EPIGRAPH_CODEGEN_CUDA_LINEAREPILOGUE_H

#include "codegen/cuda/LinearProblem.h"

#include <map>

namespace epigraph::cuda {

/// Neighbouring columns of one row of what the kernel yields.
struct ResultPlace {
  Val row;
  Val matrix;        ///< i32: head or expert; null for LinearKind::Linear
  Val column;        ///< the first; a multiple of `count`
  int64_t count = 1; ///< 1, 2, 4 or 8
};

class LinearEpilogue {
public:
  /// Of the kernel around `problem`, which holds beside it views and elementwise operations, and
  /// epi.quantize of what they make. A diagnostic if their operands cannot be read in place.
  static mlir::FailureOr<LinearEpilogue> create(KernelAssembly &assembly,
                                                const LinearProblem &problem);

  /// Parts of equal width that the columns of the product are split into, which meet in elementwise
  /// operations: 2 for the gate and up halves of a gated network, else 1.
  int64_t parts() const { return numParts; }
  /// Columns of what the kernel yields (of one head): N / parts().
  int64_t columns() const;
  /// Whether the sums are stored as they are, once rounded: as result 0, and nothing else.
  bool isPlain() const;
  /// The results that hold what epi.quantize makes: e4m3 values, and their scales (column-major:
  /// block b of row r at element b * capacity + r). Of heads, those of a row one after the other.
  /// None if the kernel does not quantize.
  struct Quantized {
    unsigned values, scales;
  };
  const std::optional<Quantized> &quantized() const { return quantization; }

  /// The bias of `count` neighbouring products from `column` (of the product, not of a part) on;
  /// empty if there is none.
  Vals bias(KernelFrame &frame, Val matrix, Val column, int64_t count) const;

  /// A value that the kernel yields, or that it quantizes.
  struct Yielded {
    mlir::Value value;
    std::optional<unsigned> result; ///< which one of the kernel; none if it is quantized
  };
  llvm::ArrayRef<Yielded> yielded() const { return yields; }

  /// For each of yielded(): its `place.count` values, rounded to its type but still float32.
  /// `sums`: place.count for each part in order, with the bias added.
  llvm::SmallVector<Vals> evaluate(KernelFrame &frame, llvm::ArrayRef<Val> sums,
                                   const ResultPlace &place) const;
  /// Evaluates, and stores what is not quantized.
  void store(KernelFrame &frame, llvm::ArrayRef<Val> sums, const ResultPlace &place) const;
  /// Stores values of one of yielded() as it was evaluated.
  void storeValues(KernelFrame &frame, const Yielded &yielded, llvm::ArrayRef<Val> values,
                   const ResultPlace &place) const;
  /// Quantizes 8 values of `place` of the one of yielded() that has no result, and stores them and
  /// their scale where `exists`. 16 neighbouring lanes have the 128 columns that share a scale.
  void storeQuantized(KernelFrame &frame, llvm::ArrayRef<Val> values, const ResultPlace &place,
                      Val exists) const;
  /// The address of a result's element at `place`.
  Val resultAddress(KernelFrame &frame, unsigned result, const ResultPlace &place) const;

private:
  using Known = std::map<void *, Vals>;

  explicit LinearEpilogue(const LinearProblem &problem) : problem(problem) {}

  mlir::LogicalResult readParts(KernelAssembly &assembly);
  mlir::LogicalResult readOperand(KernelAssembly &assembly, mlir::Operation *op,
                                  mlir::Value operand);
  mlir::LogicalResult readYields(KernelAssembly &assembly);
  mlir::LogicalResult readQuantize(KernelAssembly &assembly, epi::QuantizeOp op);
  bool isComputed(mlir::Value value) const;
  /// The part of the product that `value` is.
  std::optional<int64_t> partOf(mlir::Value value) const;
  Vals valuesOf(KernelFrame &frame, mlir::Value value, llvm::ArrayRef<Val> sums,
                const ResultPlace &place, Known &known) const;
  Vals load(KernelFrame &frame, const TensorView &view, const ResultPlace &place) const;
  Val loadOfRow(KernelFrame &frame, mlir::Value value, const ResultPlace &place) const;

  LinearProblem problem;
  int64_t numParts = 1;
  llvm::SmallVector<mlir::Value> partValues; ///< the product, or the results of its split
  std::optional<Quantized> quantization;
  llvm::SmallVector<Yielded> yields;
  std::map<void *, TensorView> views; ///< operands read from memory
};

/// `count` neighbouring elements of `element` at `address` (aligned to `alignment` bytes), as
/// float32; and their store, rounded.
Vals loadFloats(Emitter &e, mlir::Type element, Val address, int64_t count, int64_t alignment);
void storeFloats(Emitter &e, mlir::Type element, llvm::ArrayRef<Val> values, Val address,
                 int64_t alignment);
/// An even number of float32 `values` rounded to 16-bit elements, two to an i32.
Vals packPairs(Emitter &e, mlir::Type element, llvm::ArrayRef<Val> values);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_LINEAREPILOGUE_H
