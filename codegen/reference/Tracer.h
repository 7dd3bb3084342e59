// Watching a run of the reference target from inside: every operation with its values.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_TRACER_H
#define EPIGRAPH_CODEGEN_REFERENCE_TRACER_H

#include "codegen/reference/Evaluator.h"

namespace epigraph::reference {

/// Called on the threads of all ranks at once. Operations in the bodies of launches and fusion
/// groups are seen too, between their launch's `before` and `after`; those of weight programs are
/// not.
class Tracer {
public:
  virtual ~Tracer() = default;

  virtual void before(const RankContext &rank, mlir::Operation *op,
                      const RuntimeValues &operands) = 0;
  virtual void after(const RankContext &rank, mlir::Operation *op,
                     const RuntimeValues &results) = 0;
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_TRACER_H
