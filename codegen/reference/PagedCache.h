// One rank's cache of one name, and which tokens of a batch belong to which sequence.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_PAGEDCACHE_H
#define EPIGRAPH_CODEGEN_REFERENCE_PAGEDCACHE_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "runtime/exec/StepExecutor.h"

namespace epigraph::reference {

/// Entries of `entryElements` floats, addressed by slot as in runtime/artifact/KernelAbi.h. Grows
/// to the highest page written; remembers which slots hold an entry.
class PagedCache {
public:
  explicit PagedCache(int64_t entryElements) : size(entryElements) {}

  int64_t entryElements() const { return size; }

  /// The entry of `slot`, to be written.
  float *write(int64_t slot);

  /// The entry of `slot`; null when it was never written.
  const float *read(int64_t slot) const;

private:
  int64_t size;
  std::vector<float> entries; ///< [slots][size]
  std::vector<bool> written;  ///< [slots]
};

/// All caches of one rank, by name. They live across steps.
using CacheSet = std::map<std::string, PagedCache, std::less<>>;

/// The tokens of one sequence in a batch: consecutive rows, consecutive positions.
struct SequenceRows {
  int64_t firstRow;
  int64_t rows;
  int32_t firstPosition;
  std::vector<int64_t> slots; ///< [firstPosition + rows] of positions 0, 1, ...

  int64_t positions() const { return static_cast<int64_t>(slots.size()); }
};

/// The sequences of `step`, in the order of its rows. Errors: InvalidArgument naming the token
/// whose position, sequence or page cannot be.
absl::StatusOr<std::vector<SequenceRows>> sequencesOf(const StepBatch &step);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_PAGEDCACHE_H
