// What a group of row-wise operations costs as one kernel, for the pass that forms them. The kernel
// makes one pass over a row for each reduction, then one for each result, and evaluates in each
// what it needs: nothing is stored between passes.
#ifndef EPIGRAPH_PASSES_GRAPH_ROWGROUP_H
#define EPIGRAPH_PASSES_GRAPH_ROWGROUP_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/SetVector.h"

namespace epigraph {

/// Whether `value` has one row for each row of the step, or of what was routed: its first dimension
/// is dynamic.
bool hasRows(mlir::Value value);

/// Bytes of `value`, of one row if it has rows.
int64_t bytesOfRow(mlir::Type type);

/// Whether `op` is computed row by row: elementwise, or a reduction of each row, on values with
/// rows.
bool isRowOp(mlir::Operation *op);

/// Whether `op` only regards each row of a value in another way (split, reshape).
bool isRowView(mlir::Operation *op);

/// Whether `op` may be part of a kernel that computes rows: one of the above, or a quantization.
bool isComputedByRows(mlir::Operation *op);

/// What kernels cost on the machine that a module is for.
struct RowMachine {
  int64_t rows = 32; ///< of a decoding step
  int64_t registers = 16;
  int64_t cacheBytes = 1 << 20; ///< of one core
  double memoryGbps = 20;
  double gflops = 100;
  double launchNs = 2000;

  /// Reads `exec.target` and `exec.limits` of `module`; what is absent stays as above.
  static RowMachine of(mlir::ModuleOp module);
};

/// A group as one kernel.
struct RowGroup {
  /// A value as operations read it: a part of another value is not the same.
  using Identity = std::pair<const void *, unsigned>;

  llvm::SetVector<mlir::Value> sources; ///< all operands of the kernel: what the views view
  llvm::SetVector<mlir::Value> outputs;
  int64_t rowBytes = 0; ///< of inputs and outputs
  int64_t flops = 0;    ///< for a row, with what is computed again in each pass
  int64_t passes = 0;
  int64_t live = 0; ///< most vectors at once, in any pass

  /// Of `ops`, which stand in the order of their block. `identify` gives equal values the same
  /// identity, so that they count as one input.
  RowGroup(llvm::ArrayRef<mlir::Operation *> ops,
           llvm::function_ref<Identity(mlir::Value)> identify);
};

} // namespace epigraph

#endif // EPIGRAPH_PASSES_GRAPH_ROWGROUP_H
