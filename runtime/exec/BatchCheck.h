// Whether a batch is one that kernels may be run on: they follow positions and page tables without
// looking.
#ifndef EPIGRAPH_RUNTIME_EXEC_BATCHCHECK_H
#define EPIGRAPH_RUNTIME_EXEC_BATCHCHECK_H

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "runtime/exec/StepExecutor.h"

namespace epigraph {

/// Checks batches against the limits of a model. Keeps its memory between calls.
class BatchCheck {
public:
  explicit BatchCheck(const ModelInfo &info);

  /// Errors: InvalidArgument naming the token or row, what was found and what was expected.
  /// `takesHidden`: the function has the input "hidden".
  absl::Status check(const StepBatch &batch, bool takesHidden);

private:
  absl::Status checkSizes(const StepBatch &batch, bool takesHidden) const;
  absl::Status checkTokens(const StepBatch &batch);
  absl::Status checkPages(const StepBatch &batch, size_t row, int32_t lastPosition) const;

  const ModelInfo info;
  std::vector<bool> seen; ///< rows of the page table whose tokens have come
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_BATCHCHECK_H
