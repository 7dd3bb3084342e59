// What a step costs before it runs: operations, bytes and messages of every launch and collective
// of a scheduled function. Reports, cost models and the graph page count with this, so that they
// never disagree.
#ifndef EPIGRAPH_PASSES_SCHEDULE_WORKESTIMATE_H
#define EPIGRAPH_PASSES_SCHEDULE_WORKESTIMATE_H

#include "llvm/ADT/MapVector.h"

#include "passes/schedule/RowExtents.h"

namespace epigraph {

/// A step of one rank: `tokens` in `sequences`, `outputs` rows of logits, and each token sees
/// `context` positions. Experts are assumed to be chosen evenly.
struct StepShape {
  int64_t tokens = 1;
  int64_t sequences = 1;
  int64_t outputs = 1;
  int64_t context = 1;
};

/// Work of one rank. A multiply-add is two operations; an exponential, a division and a root are
/// one each. Bytes are those that pass between memory and the launch if nothing stays in caches:
/// each operand and result once, and no values in between.
struct Work {
  double flops = 0;
  double weightBytes = 0; ///< read, tables included
  double readBytes = 0;   ///< of activations
  double writtenBytes = 0;
  double cacheBytes = 0; ///< of attention caches, read and written

  double bytes() const { return weightBytes + readBytes + writtenBytes + cacheBytes; }
  Work &operator+=(const Work &other);
};

/// What one rank sends to others.
struct Traffic {
  double messages = 0;
  double bytes = 0;

  Traffic &operator+=(const Traffic &other);
};

/// The operations (not bytes) of one epi operation on `rows` rows: of its results, or of its first
/// operand where no result has rows. Views, casts and operations that only move rows have none.
/// Unknown operations count one for each element of their results.
double countFlops(mlir::Operation *op, int64_t rows, const StepShape &step);

/// What a collective makes one rank send: the fewest bytes that its meaning allows. `rows` are
/// those of its operand; even exchange is assumed. Operations that send nothing give zeros.
Traffic countTraffic(mlir::Operation *op, int64_t rows);

/// The work of every launch and collective of a scheduled function. Valid until the function or its
/// kernels change.
class WorkEstimate {
public:
  /// Fails, with a diagnostic, where RowExtents does.
  static mlir::FailureOr<WorkEstimate> compute(mlir::func::FuncOp function, const StepShape &step);

  Work of(exec::LaunchOp launch) const { return launches.lookup(launch); }
  /// Of a collective.
  Traffic trafficOf(mlir::Operation *op) const { return collectives.lookup(op); }
  Work total() const;

  /// How many rows `extent` has in the step.
  int64_t rows(RowExtent extent) const;

private:
  WorkEstimate(RowExtents extents, const StepShape &step)
      : extents(std::move(extents)), step(step) {}

  Work estimate(exec::LaunchOp launch) const;

  RowExtents extents;
  StepShape step;
  int64_t expertRanks = 1, tensorRanks = 1; ///< along each axis of the mesh
  // In the order of the function, so that sums are the same in every run.
  llvm::MapVector<mlir::Operation *, Work> launches;
  llvm::MapVector<mlir::Operation *, Traffic> collectives;
};

} // namespace epigraph

#endif // EPIGRAPH_PASSES_SCHEDULE_WORKESTIMATE_H
