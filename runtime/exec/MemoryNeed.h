// How much memory an artifact needs, worked out from its plan before anything is allocated.
#ifndef EPIGRAPH_RUNTIME_EXEC_MEMORYNEED_H
#define EPIGRAPH_RUNTIME_EXEC_MEMORYNEED_H

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/artifact/Plan.h"

namespace epigraph {

/// Bytes, over all ranks of this process.
struct MemoryNeed {
  uint64_t weights = 0;    ///< shared ones once, each rank's own
  uint64_t arenas = 0;     ///< activations
  uint64_t workspaces = 0; ///< scratch of device kernels
  uint64_t stepArrays = 0; ///< batches as kernels see them, and results
  uint64_t page = 0;       ///< one page of every cache, on every rank
  int32_t fewestPages = 0; ///< of one sequence that fills the context
  int32_t mostPages = 0;   ///< of as many such sequences as a step can have

  uint64_t withoutCaches() const { return weights + arenas + workspaces + stepArrays; }
  uint64_t total(int32_t pages) const {
    return withoutCaches() + page * static_cast<uint64_t>(pages);
  }

  /// "10.00 MiB of weights, ...": for messages and `inspect`.
  std::string describe() const;
};

/// The need of `ranks` ranks of `plan` with `stepArrays` bytes each.
/// Errors: ResourceExhausted when it does not fit 63 bits.
absl::StatusOr<MemoryNeed> memoryNeed(const plan::Plan &plan, uint64_t ranks, uint64_t stepArrays);

/// The memory that there is for an artifact.
struct MemoryRoom {
  uint64_t bytes = 0;
  /// What is free on the device of a rank, rather than what a user allows.
  bool ofDevice = false;
};

/// The pages that fit `room`, at most what the need calls the most; `wanted` pages instead when
/// that is not 0. Errors: ResourceExhausted, saying what is needed, what there is and what would
/// fit.
absl::StatusOr<int32_t> choosePages(const MemoryNeed &need, const MemoryRoom &room, int32_t wanted);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_MEMORYNEED_H
