// Counts how many rows the routers of a model send to each expert, while the reference target runs
// it: what --ep-place-experts plans with.
#ifndef EPIGRAPH_COMPILER_DRIVER_LOADRECORDER_H
#define EPIGRAPH_COMPILER_DRIVER_LOADRECORDER_H

#include "codegen/reference/Tracer.h"
#include "compiler/driver/ReferenceExecutor.h"

namespace epigraph {

/// Sees every `epi.experts` of rank 0, so it needs IR whose experts are not partitioned yet, and
/// attention that is replicated if there are several ranks.
class LoadRecorder : public reference::Tracer {
public:
  /// Adds to `loads`, which must outlive it.
  explicit LoadRecorder(ExpertLoadCounts &loads) : loads(loads) {}

  void before(const reference::RankContext &rank, mlir::Operation *op,
              const reference::RuntimeValues &operands) override;
  void after(const reference::RankContext &, mlir::Operation *,
             const reference::RuntimeValues &) override {}

private:
  ExpertLoadCounts &loads;
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_LOADRECORDER_H
