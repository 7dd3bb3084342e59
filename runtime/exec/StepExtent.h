// How large a step is, as far as its launches and exchanges depend on it.
#ifndef EPIGRAPH_RUNTIME_EXEC_STEPEXTENT_H
#define EPIGRAPH_RUNTIME_EXEC_STEPEXTENT_H

#include <cstdint>

#include "runtime/device/Driver.h"

namespace epigraph {

/// Exact on a CPU. Device kernels read the exact numbers themselves, and upper bounds do: for a
/// step that is recorded, those of all steps that its recording serves.
struct StepExtent {
  int64_t tokens = 0; ///< of this rank's batch
  int64_t outputs = 0;
  int64_t laneTokens = 0; ///< of the lane that has most in this step; only devices need it
  StepBounds bounds;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_STEPEXTENT_H
