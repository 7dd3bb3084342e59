// Honours the memory plan of a function: a result that is written destroys every earlier value
// whose buffer it overlaps, and using a destroyed value is an error. A wrong plan is found out
// where it does harm.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_ARENACHECK_H
#define EPIGRAPH_CODEGEN_REFERENCE_ARENACHECK_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include "codegen/reference/FlightCheck.h"
#include "codegen/reference/Tensor.h"

namespace epigraph::reference {

/// The arena of one run of one function on one rank.
class ArenaCheck {
public:
  /// A function without `exec.arena_bytes` has no plan; nothing is checked then.
  explicit ArenaCheck(mlir::func::FuncOp function);

  /// Every operand of `op` must still be what its producer wrote, and no collective that gives it
  /// may be under way. Reports a failure.
  llvm::LogicalResult read(mlir::Operation *op);

  /// The tensor results of `op` go to its `exec.buffers`. `results` has a tensor or null for each
  /// result. Reports: no buffers, a buffer outside the arena, one too small for the rows of this
  /// step, one that overlaps an operand or the memory of a collective under way.
  llvm::LogicalResult write(mlir::Operation *op, llvm::ArrayRef<const Tensor *> results);

private:
  struct Interval {
    int64_t begin, end;
    bool overlaps(const Interval &other) const { return begin < other.end && other.begin < end; }
  };

  llvm::LogicalResult place(mlir::OpResult result, Interval buffer, const Tensor &value);

  FlightCheck flight;
  bool planned = false;
  int64_t arenaBytes = 0;
  llvm::DenseMap<mlir::Value, Interval> live;
  llvm::DenseMap<mlir::Value, mlir::Operation *> destroyedBy;
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_ARENACHECK_H
