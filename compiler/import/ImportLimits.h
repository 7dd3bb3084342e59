// The largest batch that an artifact shall run: what its buffers are sized for.
#ifndef EPIGRAPH_COMPILER_IMPORT_IMPORTLIMITS_H
#define EPIGRAPH_COMPILER_IMPORT_IMPORTLIMITS_H

#include <cstdint>
#include <optional>

namespace epigraph {

struct ImportLimits {
  /// Tokens of one rank's batch, in one step.
  int64_t batchTokens = 512;
  /// Sequences, and rows of logits, of one rank's batch.
  int64_t sequences = 32;
  /// Positions of one sequence; not given: the model's own, but at most kDefaultMaxContext.
  std::optional<int64_t> maxContext;
};

inline constexpr int64_t kDefaultMaxContext = 4096;

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_IMPORTLIMITS_H
