// What becomes of a projection's results before they are stored: the elementwise operations of its
// kernel, evaluated on the accumulators of a register tile.
#ifndef EPIGRAPH_CODEGEN_CPU_LINEAREPILOGUE_H
#define EPIGRAPH_CODEGEN_CPU_LINEAREPILOGUE_H

#include "codegen/cpu/KernelFrame.h"

#include <map>

namespace epigraph::cpu {

/// Where a vector of results lies: `count` columns of one row. Offsets are known at compile time.
struct ResultPlace {
  Value row; ///< the first row of a register tile
  int64_t rowOffset;
  Value head;   ///< null where there are no heads
  Value column; ///< the first column of a panel
  int64_t columnOffset;
  int64_t count;
};

class LinearEpilogue {
public:
  /// The epilogue of `projection`, whose kernel holds beside it views and elementwise operations
  /// alone. A diagnostic if their operands cannot be read in place.
  static mlir::FailureOr<LinearEpilogue> create(KernelFrame &frame, mlir::Operation *projection);

  /// Stores what the kernel yields for a full vector `sums`, of which the first `place.count`
  /// columns count.
  void store(Value sums, const ResultPlace &place);

private:
  /// Values that have been evaluated at one place.
  using Known = std::map<void *, Value>;

  LinearEpilogue(KernelFrame &frame, mlir::Value projected) : frame(frame), projected(projected) {}

  mlir::LogicalResult readOperand(mlir::Operation *op, mlir::Value operand);
  mlir::LogicalResult checkResults(mlir::Operation *projection);
  Value exact(mlir::Value value, Value sums, const ResultPlace &place, Known &known);
  Value rounded(mlir::Value value, Value sums, const ResultPlace &place, Known &known);
  Value load(const TensorView &view, const ResultPlace &place);
  Value loadOfRow(mlir::Value value, const ResultPlace &place);
  Value addressOf(Value base, int64_t rowStride, int64_t headStride, int64_t bytes,
                  const ResultPlace &place);

  KernelFrame &frame;
  mlir::Value projected; ///< the projection's result
  /// What is read from memory: the kernel's arguments, or parts of them.
  std::map<void *, TensorView> views;
};

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_LINEAREPILOGUE_H
