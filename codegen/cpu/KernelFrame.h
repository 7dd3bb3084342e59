// One kernel under construction: its function, its arguments as addresses, and the loop over the
// tiles that a call is asked for.
#ifndef EPIGRAPH_CODEGEN_CPU_KERNELFRAME_H
#define EPIGRAPH_CODEGEN_CPU_KERNELFRAME_H

#include "codegen/cpu/KernelEmitter.h"
#include "codegen/target/TensorView.h"
#include "dialects/exec/Exec.h"

namespace epigraph::cpu {

/// How a launch divides: as `#exec.tiling`.
struct Tiling {
  int64_t rows;    ///< rows of a tile; 0: a tile spans all rows
  int64_t columns; ///< tiles side by side
};

class KernelFrame {
public:
  /// The function's parameters are those of KernelFunction (runtime/artifact/KernelAbi.h).
  KernelFrame(exec::KernelOp kernel, mlir::OpBuilder &builder, const CpuTarget &target,
              mlir::ValueRange parameters);

  KernelEmitter e;
  exec::KernelOp kernel;

  /// The launch's row count.
  Value rows() const { return rowCount; }
  /// Address of a tensor or cache argument.
  Value address(mlir::BlockArgument argument) const { return inputs[argument.getArgNumber()]; }
  /// Address of the tensor that the kernel yields as value `index`.
  Value resultAddress(unsigned index) const { return results[index]; }
  /// Address of the first element of `view`'s row `row` (which is ignored without rows).
  Value rowAddress(const TensorView &view, Value row);
  /// Address of row `row` of result `index`, whose rows are contiguous.
  Value resultRow(unsigned index, Value row);

  /// The view of an operand, or a diagnostic that it is not one.
  mlir::FailureOr<TensorView> view(mlir::Operation *op, Value operand, llvm::StringRef name);
  /// The position among the yielded values of `value`; a diagnostic if it is not yielded exactly
  /// once.
  mlir::FailureOr<unsigned> yieldedAs(mlir::Operation *op, Value value);

  // Fields of KernelStep.
  Value positions();
  Value sequenceOfTokens();
  Value outputRows();
  /// Address of the page table's row of the sequence that token `token` belongs to.
  Value pageTableOf(Value token);

  /// Emits a loop over the tiles that the call is asked for. Consecutive tiles share a column: the
  /// column's weights stay in cache while row blocks pass. With `tiling.rows` 0, the block is all
  /// rows.
  void forTiles(Tiling tiling,
                llvm::function_ref<void(Value firstRow, Value lastRow, Value column)> body);

private:
  Value stepField(int64_t offset);

  Value step, rowCount, firstTile, lastTile;
  Values inputs, results;
};

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_KERNELFRAME_H
