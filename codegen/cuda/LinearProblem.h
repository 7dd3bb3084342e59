// What a projection is to all of its kernels: epi.linear, epi.grouped_linear and epi.head_linear in
// one description, with where their operands lie. What becomes of the products is in
// LinearEpilogue.h.
#ifndef EPIGRAPH_CODEGEN_CUDA_LINEARPROBLEM_H
#define EPIGRAPH_CODEGEN_CUDA_LINEARPROBLEM_H

#include "codegen/cuda/KernelAssembly.h"
#include "dialects/epi/Epi.h"

#include <optional>

namespace epigraph::cuda {

enum class LinearKind {
  Linear,  ///< every row times one matrix
  Grouped, ///< rows ordered by expert, each group times its expert's matrix
  Heads,   ///< each head of every row times the head's matrix
};

/// result[row, n] = sum over k of x[row, k] w[n, k]. Rows of x, and w as a whole, are contiguous.
struct LinearProblem {
  LinearKind kind = LinearKind::Linear;
  mlir::Operation *op = nullptr;

  int64_t matrices = 1; ///< experts or heads
  int64_t outputs = 0;  ///< N of one matrix
  int64_t depth = 0;    ///< K

  TensorView x; ///< [rows, K]; [rows, heads, K] of Heads
  TensorView w; ///< [N, K]; [matrices, N, K] but for Linear

  /// Of a quantized x, [rows, scaleBlocks()], column-major: block b of row r lies at element
  /// b * capacity + r.
  std::optional<TensorView> xScale;
  /// Of a quantized w, [ceil(N / 128), scaleBlocks()] for each matrix.
  std::optional<TensorView> wScale;
  /// Of Grouped: i32 [experts], on the device only.
  std::optional<TensorView> counts;
  /// Of Grouped: whether `counts` is there when the kernel starts, before waitForPrevious.
  bool hasOldCounts = false;
  /// Of Grouped, [experts, N]: added to the products in float32.
  std::optional<TensorView> bias;

  mlir::Type xType() const { return x.elementType; }
  mlir::Type wType() const { return w.elementType; }
  /// Type that the products are rounded to.
  mlir::Type resultType() const;
  /// Bytes between the rows of x.
  int64_t xRowBytes() const;
  /// Blocks of 128 along K, which have a scale each.
  int64_t scaleBlocks() const { return (depth + epi::kScaleBlock - 1) / epi::kScaleBlock; }
  /// Rows of the scales of one matrix.
  int64_t scaleRows() const { return (outputs + epi::kScaleBlock - 1) / epi::kScaleBlock; }

  /// Of the projection `op`; a diagnostic if its operands cannot be read in place.
  static mlir::FailureOr<LinearProblem> create(KernelAssembly &assembly, epi::LinearOp op);
  static mlir::FailureOr<LinearProblem> create(KernelAssembly &assembly, epi::GroupedLinearOp op);
  static mlir::FailureOr<LinearProblem> create(KernelAssembly &assembly, epi::HeadLinearOp op);
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_LINEARPROBLEM_H
