// Collectives that have started and not finished, at each point of a function. What passes, the
// memory plan and the check of waits know of tokens is here.
#ifndef EPIGRAPH_PASSES_SCHEDULE_UNDERWAY_H
#define EPIGRAPH_PASSES_SCHEDULE_UNDERWAY_H

#include "dialects/exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace epigraph {

/// Whether `op` moves rows between ranks, so that it can be started and waited for.
bool isCollective(mlir::Operation *op);

/// The token of a collective that only starts; null for any other operation.
mlir::Value tokenOf(mlir::Operation *op);

/// Makes `collective` start only, or run to its end, as `starts` says; a token that goes must have
/// no use. Returns what it becomes.
mlir::Operation *setStarts(mlir::Operation *collective, bool starts);

/// The collectives under way while a function, a straight line, is walked in order.
class UnderWay {
public:
  /// Passes `op`: a wait ends what it waits for and all that started before, a collective without a
  /// token all.
  void pass(mlir::Operation *op);

  /// Those under way, oldest first.
  llvm::ArrayRef<mlir::Operation *> get() const { return collectives; }
  /// The latest of those under way that `op` reads a result of; null if it reads none.
  mlir::Operation *latestReadBy(mlir::Operation *op) const;
  /// Whether `wait` ends anything.
  bool isNeeded(ep::WaitOp wait) const;

private:
  llvm::SmallVector<mlir::Operation *> collectives;
};

/// For each collective of `function` that only starts, the operation with which it has finished: a
/// wait, a later collective that does not only start, or the end of the function.
llvm::DenseMap<mlir::Operation *, mlir::Operation *> findEnds(mlir::func::FuncOp function);

/// Fails, with a diagnostic at the operation that a wait is missing before, if results of a
/// collective under way are read, if memory that it reads is written or memory that it writes is
/// touched (where memory is planned), or if the function ends with one under way; and at a wait
/// that waits for nothing.
mlir::LogicalResult verifyWaits(mlir::func::FuncOp function);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_SCHEDULE_UNDERWAY_H
