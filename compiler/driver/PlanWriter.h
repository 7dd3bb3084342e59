// From the scheduled module to the plan that the runtime walks, one to one.
#ifndef EPIGRAPH_COMPILER_DRIVER_PLANWRITER_H
#define EPIGRAPH_COMPILER_DRIVER_PLANWRITER_H

#include <cstdint>
#include <vector>

#include "mlir/IR/BuiltinOps.h"

#include "runtime/artifact/DeviceKernel.h"

namespace epigraph {

/// Sizes that follow from a plan.
struct PlanSizes {
  uint64_t arenaBytes = 0;
  uint64_t arenaNaiveBytes = 0; ///< if no two values of a step shared memory
  uint64_t cacheBytesPerToken = 0;
};

struct WrittenPlan {
  std::vector<uint8_t> bytes; ///< of plan.fb
  PlanSizes sizes;
};

/// Writes the plan of `module`, which must have gone through all phases to codegen, and verifies it
/// as the runtime will. `device` describes the launches of every kernel; null: they are a CPU's,
/// and each has a tiling. Fails with a diagnostic at the operation that a plan cannot express.
mlir::FailureOr<WrittenPlan> writePlan(mlir::ModuleOp module,
                                       const DeviceKernels *device = nullptr);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_PLANWRITER_H
