// When the steps of a schedule would run: kernels one after the other on the device, exchanges one
// after the other on the link, both at once.
#ifndef EPIGRAPH_PASSES_SCHEDULE_TIMELINE_H
#define EPIGRAPH_PASSES_SCHEDULE_TIMELINE_H

#include "passes/schedule/WorkEstimate.h"

namespace epigraph {

/// A kernel, or an exchange between ranks.
struct TimedStep {
  enum class Kind {
    Compute,
    Exchange,        ///< takes the link from its start on, and the device no time
    BlockingExchange ///< the device stands still until it has finished
  };
  Kind kind = Kind::Compute;
  double ns = 0;
  llvm::SmallVector<unsigned, 4> after; ///< steps whose results it reads, or that must come first
};

/// The time that `steps` take in `order`, where each waits for those it is `after` only.
double timeOf(llvm::ArrayRef<TimedStep> steps, llvm::ArrayRef<unsigned> order);

/// The same if each exchange is waited for where it starts.
double timeWithoutOverlap(llvm::ArrayRef<TimedStep> steps);

/// An order that hides exchanges behind kernels: list scheduling. Of the steps that can start
/// soonest, an exchange first, then the one with most exchange behind it, then the earliest in
/// `steps`: where nothing can be hidden, the order stays. Cost: steps times those ready at once.
llvm::SmallVector<unsigned> scheduleSteps(llvm::ArrayRef<TimedStep> steps);

/// What the operations of a scheduled function cost on the module's target, in nanoseconds: a
/// launch the longer of its bytes at the memory's speed and its operations at the device's, and
/// what launching costs; a collective the link's latency and its bytes at the link's speed.
class StepCosts {
public:
  /// Of steps of `tokens` tokens, as many sequences as the limits allow, at half their context. The
  /// module without `exec.target` is taken to be for kDefaultTarget. Fails, with a diagnostic,
  /// where WorkEstimate does.
  static mlir::FailureOr<StepCosts> compute(mlir::func::FuncOp function, int64_t tokens);

  double of(mlir::Operation *op) const { return ns.lookup(op); }
  /// A launch that copies `bytes` from one place to another.
  double ofCopy(double bytes) const;

  /// `op` as a step without what it is after.
  TimedStep stepOf(mlir::Operation *op) const;

private:
  explicit StepCosts(exec::TargetAttr target) : target(target) {}

  exec::TargetAttr target;
  llvm::DenseMap<mlir::Operation *, double> ns;
};

/// The steps of `ops`, which stand in one block in this order: each is after the operations among
/// them whose results it reads. Launches that touch one cache stay in order. Operations that do
/// nothing in a step (loads of weights, names of caches) must not be among them.
llvm::SmallVector<TimedStep> stepsOf(llvm::ArrayRef<mlir::Operation *> ops, const StepCosts &costs);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_SCHEDULE_TIMELINE_H
