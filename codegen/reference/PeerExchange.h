// Dispatch and combine through the memory of peers, as one rank sees them. Meaning:
// dialects/ep/EpExchangeOps.td. What a rank sends it keeps until the others have read it.
#ifndef EPIGRAPH_CODEGEN_REFERENCE_PEEREXCHANGE_H
#define EPIGRAPH_CODEGEN_REFERENCE_PEEREXCHANGE_H

#include "codegen/reference/Collectives.h"

namespace epigraph::reference {

struct ReceivedTokens {
  Tensor rows;     ///< by (local expert, source rank, token, j)
  Tensor counts;   ///< [local experts]
  Tensor received; ///< [1] rows
  Tensor places;   ///< [ranks * capacity, top_k] row of each choice; -1 where there is none
  Tensor weights;  ///< of the same shape; 0 where there is no row
  Tensor scales;   ///< of the rows; empty where they have none
};

class PeerExchange {
public:
  /// `x` [rows, hidden] with `scales` (empty where it has none), `ids` and `weights` [rows, top_k].
  void send(Tensor x, Tensor ids, Tensor weights, Tensor scales);

  /// Of this rank's `local` experts. Errors: InvalidArgument when a rank sends more than `capacity`
  /// rows; those of the exchange.
  absl::StatusOr<ReceivedTokens> receive(int64_t local, int64_t capacity, const Member &member);

  /// Weighted sums of `rows`, for each line of `places`; rounded to bfloat16 if `round`.
  void sendSums(const Tensor &rows, const Tensor &places, const Tensor &weights, bool round);

  /// This rank's rows of each of its tokens, with the tokens' own `weights`, and the others' sums.
  absl::StatusOr<Tensor> receiveSums(const Tensor &rows, const Tensor &places,
                                     const Tensor &weights, int64_t capacity, const Member &member);

private:
  Tensor x, ids, weights, scales, sums;
};

} // namespace epigraph::reference

#endif // EPIGRAPH_CODEGEN_REFERENCE_PEEREXCHANGE_H
