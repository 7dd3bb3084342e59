// Sequences that the caller extends step by step and whose logits it reads: for those who choose
// tokens themselves. (Generator.h chooses them itself, PassageRunner.h runs whole sequences.)
#ifndef EPIGRAPH_RUNTIME_SESSION_OPENSEQUENCES_H
#define EPIGRAPH_RUNTIME_SESSION_OPENSEQUENCES_H

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/session/StepDriver.h"

namespace epigraph {

/// What a call to OpenSequences::step appends to one sequence.
struct SequenceInput {
  int64_t sequence; ///< as `add` returned it
  std::vector<int32_t> ids;
};

/// Not thread-safe. Open sequences hold pages of the driver's caches until they are closed.
class OpenSequences {
public:
  /// The driver must outlive this object.
  explicit OpenSequences(StepDriver &driver) : driver(driver), load(driver.lanes().size()) {}

  /// Opens an empty sequence.
  int64_t add();

  /// Closes a sequence and gives its pages back. Errors: NotFound.
  absl::Status close(int64_t sequence);

  /// Tokens in the caches for `sequence`. Errors: NotFound.
  absl::StatusOr<int64_t> length(int64_t sequence) const;

  /// Appends the inputs, all of them in as few steps of the model as its limits allow, and returns
  /// for each its logits: [ids][vocab] with `outputs` All, [1][vocab] with Last, nothing with None.
  ///
  /// Errors: NotFound for a sequence that is not open, InvalidArgument for one named twice, those
  /// of StepDriver::checkSequence, ResourceExhausted when the caches are full, those of the steps.
  /// After an error no sequence has changed.
  absl::StatusOr<std::vector<std::vector<float>>> step(absl::Span<const SequenceInput> inputs,
                                                       ChunkOutputs outputs);

private:
  struct Sequence {
    size_t lane;
    int64_t length = 0;
    std::vector<PageLease> leases;
    std::vector<int32_t> pages; ///< those of the leases, in the order of positions
  };
  struct Turn {
    size_t input;
    int64_t count;
    int64_t rows; ///< of logits
  };
  using Cursor = std::vector<int64_t>; ///< tokens done, by input

  absl::Status notOpen(int64_t sequence) const;
  absl::Status check(absl::Span<const SequenceInput> inputs) const;
  absl::Status reservePages(absl::Span<const SequenceInput> inputs);
  std::vector<Turn> buildBatch(size_t lane, absl::Span<const SequenceInput> inputs,
                               const Cursor &done, ChunkOutputs outputs);
  absl::StatusOr<bool> advance(absl::Span<const SequenceInput> inputs, ChunkOutputs outputs,
                               Cursor &done, std::vector<std::vector<float>> &logits);

  StepDriver &driver;
  std::map<int64_t, Sequence> open;
  std::vector<int64_t> load; ///< open sequences, by lane
  int64_t nextId = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_SESSION_OPENSEQUENCES_H
