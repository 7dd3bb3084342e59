// What bisect runs: a few sequences as batches, prefill and decode together.
#ifndef EPIGRAPH_COMPILER_BISECT_SCRIPT_H
#define EPIGRAPH_COMPILER_BISECT_SCRIPT_H

#include <vector>

#include "absl/status/statusor.h"

#include "runtime/exec/StepExecutor.h"

namespace epigraph::bisection {

/// One step.
struct ScriptStep {
  StepBatch batch;
  /// For the MTP layer: the token after each of the batch; 0 after a sequence's last.
  std::vector<int32_t> nextIds;
  /// One token of each sequence: the runtime has @decode run it, where there is one.
  bool decodes = true;
};

/// The bounds of a step that the IR is compiled for.
struct ScriptLimits {
  int64_t vocabulary;
  int64_t batchTokens;
  int64_t sequences;
  int64_t context;
};

/// Up to three sequences of different lengths, the same for the same limits.
std::vector<std::vector<int32_t>> defaultSequences(const ScriptLimits &limits);

/// All sequences in one batch as far as it has room, chunk after chunk; the last two tokens of each
/// one at a time. The last row of each sequence is an output row. Errors: InvalidArgument for more
/// sequences or longer ones than the limits allow, empty ones, and ids outside the vocabulary.
absl::StatusOr<std::vector<ScriptStep>>
makeScript(const std::vector<std::vector<int32_t>> &sequences, const ScriptLimits &limits);

} // namespace epigraph::bisection

#endif // EPIGRAPH_COMPILER_BISECT_SCRIPT_H
