// Puts chunks of sequences together into the ragged batch of one step.
#ifndef EPIGRAPH_RUNTIME_SESSION_BATCHBUILDER_H
#define EPIGRAPH_RUNTIME_SESSION_BATCHBUILDER_H

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "runtime/exec/StepExecutor.h"

namespace epigraph {

/// Which rows of a chunk have their logits computed.
enum class ChunkOutputs { None, Last, All };

/// Consecutive tokens of one sequence. The spans must stay valid until the batch is finished.
struct Chunk {
  absl::Span<const int32_t> ids;
  int32_t firstPosition;
  absl::Span<const int32_t> pages; ///< all pages of the sequence, from position 0 on
  ChunkOutputs outputs;
  /// With outputs Last: how the token after the chunk is chosen.
  std::optional<SamplingRow> sampling = std::nullopt;
};

/// Builds one batch after another; keeps its memory between them.
class BatchBuilder {
public:
  void clear();

  /// Adds a sequence's chunk; a sequence is added once a batch.
  void add(const Chunk &chunk);

  /// Takes over the hidden states of the batch's tokens: [tokens][hidden].
  void setHidden(std::vector<float> hidden) { batch.hidden = std::move(hidden); }

  int32_t tokens() const { return static_cast<int32_t>(batch.ids.size()); }
  int32_t outputs() const { return static_cast<int32_t>(batch.outputRows.size()); }

  /// The batch of all chunks added since `clear`. The page table is as wide as its longest row.
  const StepBatch &finish();

private:
  StepBatch batch;
  std::vector<absl::Span<const int32_t>> pageRows;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_BATCHBUILDER_H
