// Lifetimes of the values of a scheduled function, and the check of a memory plan against them.
#ifndef EPIGRAPH_PASSES_SCHEDULE_MEMORYPLAN_H
#define EPIGRAPH_PASSES_SCHEDULE_MEMORYPLAN_H

#include "passes/schedule/RowExtents.h"

namespace epigraph {

/// A value that needs memory: needed from the operation that gives it (`begin`) to the last that
/// reads it (`end`), both included, as indices of operations in the function. A collective that
/// only starts needs what it reads and gives until it has finished.
struct PlannedValue {
  mlir::OpResult value;
  int64_t bytes = 0; ///< under the module's limits, rounded up to the alignment
  int64_t begin = 0;
  int64_t end = 0;

  bool livesWith(const PlannedValue &other) const {
    return begin <= other.end && other.begin <= end;
  }
};

/// The tensor results of the launches and exchanges of `function`, in order. A value that the
/// function returns is needed to its end.
llvm::SmallVector<PlannedValue> collectPlannedValues(mlir::func::FuncOp function,
                                                     const RowExtents &extents);

/// Fails, with a diagnostic, unless every planned value of `function` has a buffer that is large
/// enough, inside the arena, and apart from those of all values it lives with.
mlir::LogicalResult verifyMemoryPlan(mlir::func::FuncOp function);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_SCHEDULE_MEMORYPLAN_H
