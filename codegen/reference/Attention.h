// Caches and attention, one plain function for each operation. Meaning:
// dialects/epi/EpiAttentionOps.td.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_ATTENTION_H
#define EPIGRAPH_CODEGEN_REFERENCE_ATTENTION_H

#include <cstdint>
#include <limits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "codegen/reference/PagedCache.h"
#include "codegen/reference/Tensor.h"
#include "codegen/reference/Workers.h"

namespace epigraph::reference {

/// Writes an entry for each token of `step`: its row of `first`, then its row of `second`.
/// Errors: InvalidArgument for rows that are not the step's.
absl::Status kvAppend(PagedCache &cache, const Tensor &first, const Tensor &second,
                      const StepBatch &step);

/// How keys and values lie in an entry of a `!epi.kv_cache`: heads * key, then heads * value.
struct KvLayout {
  int64_t heads;
  int64_t key;
  int64_t value;
};

/// How scores become weights.
struct Weighing {
  double scale;
  /// Positions that a token sees at most, its own included.
  int64_t window = std::numeric_limits<int64_t>::max();
  /// [query heads]: a score each that takes part in the softmax of its head and has no value.
  const Tensor *sinks = nullptr;
};

/// q [rows, query heads, key] to [rows, query heads, value].
/// Errors: InvalidArgument for rows that are not the step's, or a position whose entry was never
/// written.
absl::StatusOr<Tensor> attention(const Tensor &q, const PagedCache &cache, const KvLayout &layout,
                                 const StepBatch &step, const Weighing &weighing,
                                 const Workers &workers);

/// How an entry of a `!epi.mla_cache` lies: the latent vector, then the rotated key.
struct MlaLayout {
  int64_t latent;
  int64_t rope;
};

/// Multi-head latent attention; expanded when there is `up` [heads * (nope + value), latent], else
/// absorbed. q [rows, heads, nope or latent], qRope [rows, heads, rope], result [rows, heads, value
/// or latent]. Errors: as for attention.
absl::StatusOr<Tensor> mlaAttention(const Tensor &q, const Tensor &qRope, const PagedCache &cache,
                                    const MlaLayout &layout, const Tensor *up,
                                    const StepBatch &step, double scale, const Workers &workers);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_ATTENTION_H
