// What runs one step of a model: the compiled plan (PlanExecutor) or the reference interpreter.
// Sessions are written against this interface alone.
#ifndef EPIGRAPH_RUNTIME_EXEC_STEPEXECUTOR_H
#define EPIGRAPH_RUNTIME_EXEC_STEPEXECUTOR_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/base/Sampling.h"

namespace epigraph {

/// A ragged batch: tokens of many sequences, prefill chunks and single decode tokens together.
/// Tokens of one sequence are contiguous and in order of position.
struct StepBatch {
  std::vector<int32_t> ids;       ///< [tokens]
  std::vector<int32_t> positions; ///< [tokens]
  std::vector<int32_t> sequence;  ///< [tokens] row of the page table
  std::vector<int32_t> pageTable; ///< [sequences][pageTableStride]
  int32_t pageTableStride = 0;
  std::vector<int32_t> outputRows; ///< token rows whose logits are wanted
  /// [tokens][hidden]: the second input of function "mtp", else empty.
  std::vector<float> hidden;
  /// [outputs] how the token after each of them is chosen; empty: the largest logit wins.
  std::vector<SamplingRow> sampling;
  /// Of the logits only those tokens matter; see StepResult::chosen.
  bool onlyChosen = false;
};

/// What a model is, as far as driving it needs to know.
struct ModelInfo {
  std::string architecture;
  int32_t vocab = 0;
  int32_t hidden = 0;
  int32_t ranks = 1;
  /// Each lane has sequences of its own; else all ranks run the same batch.
  bool dataParallelAttention = false;
  /// Batches of a step. Lane l is run by ranks [l * ranks / lanes, (l + 1) * ranks / lanes).
  int32_t lanes = 1;
  int32_t maxBatchTokens = 0; ///< tokens of one rank's batch
  int32_t maxSequences = 0;   ///< sequences, and output rows, of one rank's batch
  int32_t maxContext = 0;     ///< positions of one sequence
  int32_t pages = 0;          ///< pages of kPageTokens tokens in one rank's caches
  bool hasMtp = false;        ///< has the function "mtp"
  /// Has the function "decode", which computes what "main" does, and faster for steps with tokens
  /// that are generated.
  bool hasDecode = false;
};

/// One rank's results; the spans are valid until the next step.
struct StepResult {
  absl::Span<const float> logits; ///< [outputs][vocab]
  /// [outputs] the tokens that chooseToken (Sampling.h) chooses. In place of the logits, where the
  /// batch asked for no more and the executor knows them without: logits are large, and far away
  /// where a device computes them.
  std::optional<absl::Span<const int32_t>> chosen;
  /// [tokens][hidden] after the final norm, as float32. Filled only on request.
  std::vector<float> hidden;
};

class StepExecutor {
public:
  virtual ~StepExecutor() = default;

  virtual const ModelInfo &info() const = 0;

  /// Runs `function` ("main", "decode" or "mtp") on one batch (replicated attention: every rank
  /// runs it, rank 0's result is returned) or on one batch for each lane (data-parallel attention;
  /// batches may be empty). Errors: InvalidArgument for a batch that breaks the limits;
  /// DeadlineExceeded or Aborted when a rank failed.
  virtual absl::StatusOr<std::vector<StepResult>>
  step(std::string_view function, absl::Span<const StepBatch> batches, bool wantHidden) = 0;

  /// Collective where ranks are processes, which must not differ in what they feed a model: the
  /// `number` of the first of them.
  virtual absl::StatusOr<uint64_t> agreeOn(uint64_t number) { return number; }
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_STEPEXECUTOR_H
