// Which operation of a module computes the first wrong value, given a module that computes right
// ones: the module before a pass.
//
// Values are told to be right by their numbers alone, since a pass may rename, merge and move
// operations: a value that some value before the pass equals is right. A value that none equals is
// new or wrong; it is wrong if the results differ and every way from it to them goes through such
// values. Cost: one comparison of samples for each pair of values of one size whose norms agree.
#ifndef EPIGRAPH_COMPILER_BISECT_FIRSTWRONGVALUE_H
#define EPIGRAPH_COMPILER_BISECT_FIRSTWRONGVALUE_H

#include "compiler/bisect/ModelRun.h"

namespace epigraph::bisection {

/// A value that an operation gave.
struct TracedValue {
  mlir::Operation *op;
  unsigned result;
  /// The launch or fusion group in whose body `op` is, or null.
  mlir::Operation *within;
  int64_t elements;
  double norm; ///< of the whole value
  /// At most kSample elements at even distances.
  std::vector<float> sample;

  static constexpr int64_t kSample = 4096;
};

/// Keeps the values of rank 0 in one step, of @mtp or of the function beside it (@main or @decode:
/// a pass may make the one of the other).
class ValueTrace : public StepTracer {
public:
  ValueTrace(bool mtp, size_t step) : mtp_(mtp), step_(step) {}

  void beginStep(llvm::StringRef function, size_t step) override {
    active_ = (function == "mtp") == mtp_ && step == step_;
  }
  void before(const reference::RankContext &rank, mlir::Operation *op,
              const reference::RuntimeValues &operands) override;
  void after(const reference::RankContext &rank, mlir::Operation *op,
             const reference::RuntimeValues &results) override;

  /// In the order in which they were made.
  llvm::ArrayRef<TracedValue> values() const { return values_; }

private:
  const bool mtp_;
  const size_t step_;
  bool active_ = false;
  mlir::Operation *within_ = nullptr; ///< the launch or group that runs
  std::vector<TracedValue> values_;
};

struct WrongValue {
  mlir::Operation *op; ///< of the module after the pass
  unsigned result;
  /// In the body of `op`, a launch or fusion group: the operation that is wrong there; or null.
  mlir::Operation *inner;
  /// From the value of the same place, kind and type before the pass, if there is one.
  std::optional<Distance> distance;
};

/// The first wrong value of `function`, which is in the module that `after` is of.
std::optional<WrongValue> findFirstWrong(mlir::func::FuncOp function, const ValueTrace &before,
                                         const ValueTrace &after, double tolerance);

} // namespace epigraph::bisection

#endif // EPIGRAPH_COMPILER_BISECT_FIRSTWRONGVALUE_H
