// Runs the functions of a module on the reference target, step by step, for comparison.
#ifndef EPIGRAPH_COMPILER_BISECT_MODELRUN_H
#define EPIGRAPH_COMPILER_BISECT_MODELRUN_H

#include "absl/types/span.h"

#include "codegen/reference/Interpreter.h"
#include "codegen/reference/Tracer.h"
#include "compiler/bisect/Bisect.h"
#include "compiler/bisect/Script.h"
#include "compiler/driver/Diagnostics.h"

namespace epigraph::bisection {

/// One result of one step.
struct Output {
  std::string function; ///< "main", "decode", "mtp"
  std::string name;     ///< "logits", "hidden"
  size_t step;
  reference::TensorRef value;
};

/// A tracer that is told which step comes next.
class StepTracer : public reference::Tracer {
public:
  virtual void beginStep(llvm::StringRef function, size_t step) = 0;
};

struct RunSetup {
  reference::WeightSource &weights;
  absl::Span<const ScriptStep> script;
  DiagnosticCollector &diagnostics;
  bool roundToTypes = false; ///< see reference::InterpreterOptions
  StepTracer *tracer = nullptr;
};

/// The outputs of @main (of @decode, where there is one, in steps that decode), and of @mtp where
/// there is one, of rank 0; every rank gets the same batch.
/// Errors: Aborted with the diagnostics if an operation failed.
absl::StatusOr<std::vector<Output>> runModel(mlir::ModuleOp module, const RunSetup &setup);

/// Distance of `actual` from `expected`; infinite if the shapes differ or a value is not finite
/// where the expected one is.
Distance distanceOf(const reference::Tensor &actual, const reference::Tensor &expected);

/// The first of `actual` that is further than `tolerance` from `expected`, or nothing. Runs of one
/// script give equally many.
std::optional<std::pair<size_t, Distance>>
firstDifference(llvm::ArrayRef<Output> actual, llvm::ArrayRef<Output> expected, double tolerance);

} // namespace epigraph::bisection

#endif // EPIGRAPH_COMPILER_BISECT_MODELRUN_H
