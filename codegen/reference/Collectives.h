// What ranks exchange. Each rank is a thread; it offers its tensor, reads what it needs of the
// others', and leaves when all have read. Meaning: dialects/ep/EpOps.td.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_COLLECTIVES_H
#define EPIGRAPH_CODEGEN_REFERENCE_COLLECTIVES_H

#include <string_view>

#include "absl/status/statusor.h"

#include "codegen/reference/Tensor.h"
#include "runtime/comm/LocalGroup.h"

namespace epigraph::reference {

/// One rank's seat among those along an axis of the mesh. Every exchange fails with
/// DeadlineExceeded or Aborted, naming the rank, when another is late or has failed; `where` is the
/// operation's place, for messages.
struct Member {
  LocalGroup &group;
  int rank; ///< its place in the group
  std::string_view where;

  int ranks() const { return group.size(); }
};

/// Rows [T r / R, T (r + 1) / R) of the T rows of `x`. Nothing moves.
Tensor shardRows(const Tensor &x, int rank, int ranks);

/// The ranks' rows in the order of ranks.
absl::StatusOr<Tensor> allGather(const Tensor &x, const Member &member);

/// The sum over ranks, added in their order. Errors: Internal when shapes differ.
absl::StatusOr<Tensor> allReduce(const Tensor &x, const Member &member);

/// shardRows of allReduce.
absl::StatusOr<Tensor> reduceScatter(const Tensor &x, const Member &member);

/// The ranks' columns in the order of ranks: [rows, columns * ranks]. Errors: Internal when shapes
/// differ.
absl::StatusOr<Tensor> gatherColumns(const Tensor &x, const Member &member);

/// Columns [C r / R, C (r + 1) / R) of the C columns of `x`. Nothing moves.
Tensor shardColumns(const Tensor &x, int rank, int ranks);

struct Scattered {
  Tensor rows;   ///< by (local expert, source rank, order sent)
  Tensor counts; ///< [local experts]
};

/// Sends `rows`, ordered by expert with `counts` [experts], to the experts' owners; expert e
/// belongs to rank e * ranks / experts. Errors: Internal for counts that are not the rows'.
absl::StatusOr<Scattered> scatterExperts(const Tensor &rows, const Tensor &counts,
                                         const Member &member);

/// The way back: `rows` ordered as scatterExperts gave them, `counts` what it was given.
absl::StatusOr<Tensor> gatherExperts(const Tensor &rows, const Tensor &counts,
                                     const Member &member);

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_COLLECTIVES_H
