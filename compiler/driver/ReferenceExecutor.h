// The reference interpreter as a step executor: sessions drive it as they drive a compiled
// artifact. No LLVM in this header.
#ifndef EPIGRAPH_COMPILER_DRIVER_REFERENCEEXECUTOR_H
#define EPIGRAPH_COMPILER_DRIVER_REFERENCEEXECUTOR_H

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "runtime/exec/StepExecutor.h"

namespace epigraph {

/// Rows that each expert of each layer was sent, by the layer's name.
using ExpertLoadCounts = std::map<std::string, std::vector<uint64_t>>;

struct ReferenceOptions {
  /// Ranks that run IR without an `ep.mesh`; a mesh says itself.
  int ranks = 1;
  /// Threads of all ranks together; 0: one for each core.
  int threads = 0;
  /// Longest wait of one rank for another.
  std::chrono::milliseconds deadline = std::chrono::seconds(60);
  /// Round values of type bf16 to bf16; else everything is float32.
  bool roundToTypes = false;
  /// Tokens of one rank's batch at most, where the IR allows more.
  std::optional<int32_t> maxBatchTokens;
  /// Random weights of this seed in place of a checkpoint's.
  std::optional<uint64_t> randomWeights;
  /// Where steps add what their routers choose; must outlive the executor. For IR from before the
  /// phase partition: later IR adds nothing.
  ExpertLoadCounts *expertLoad = nullptr;
};

/// An executor for the module `ir` (text; `name` stands for it in messages), at any point from
/// import to codegen, with the weights of the checkpoint in the folder `model` (unused with random
/// ones). IR whose memory is planned is held to its `exec.limits`; other IR takes larger batches.
/// Errors: InvalidArgument for IR that does not parse or verify, or is no model; those of
/// Checkpoint::open. Steps fail with InvalidArgument for a batch beyond the limits, Aborted with
/// the diagnostics when an operation or a rank failed.
absl::StatusOr<std::unique_ptr<StepExecutor>>
openReferenceExecutor(const std::string &ir, const std::string &name,
                      const std::filesystem::path &model, const ReferenceOptions &options = {});

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_REFERENCEEXECUTOR_H
