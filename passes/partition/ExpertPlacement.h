// Plans which experts lie where, from how many rows each has been sent: so that ranks have equal
// work, and busy experts several places.
#ifndef EPIGRAPH_PASSES_PARTITION_EXPERTPLACEMENT_H
#define EPIGRAPH_PASSES_PARTITION_EXPERTPLACEMENT_H

#include <cstdint>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace epigraph {

/// What is to be placed. Ranks lie on `nodes` nodes, neighbours together; experts come in `groups`
/// groups of neighbours, of which a token chooses few, so that a group should lie on one node.
struct PlacementShape {
  int64_t ranks;
  int64_t slotsPerRank; ///< ranks * slotsPerRank is at least the number of experts
  int64_t groups = 1;   ///< divides the experts
  int64_t nodes = 1;    ///< divides the ranks
};

/// The expert of each slot, ranks one after the other, by `load` (rows of each expert, or anything
/// in proportion). Deterministic.
///
/// As DeepSeek's EPLB (2025): groups are packed on nodes, busy experts get the slots that are left
/// as replicas, and replicas are packed on the ranks of their node, each time the heaviest first on
/// the lightest place that has room. That is done node by node where the nodes divide the groups
/// and their slots hold their experts, and otherwise over all ranks at once. Then replicas that
/// share a rank are exchanged for others, which is always possible (no expert gets more replicas
/// than ranks unless slots would stay empty), and experts of the busiest rank as long as that
/// helps. Where keeping experts in order is better than all this, they are kept in order.
llvm::SmallVector<int64_t> planPlacement(llvm::ArrayRef<double> load, const PlacementShape &shape);

/// The rows of each rank under `slots`, when replicas share those of their expert equally.
llvm::SmallVector<double> loadOfRanks(llvm::ArrayRef<int64_t> slots, llvm::ArrayRef<double> load,
                                      int64_t ranks);

/// The load of the busiest rank over the mean: 1 is perfect. 1 if there is no load.
double imbalanceOf(llvm::ArrayRef<int64_t> slots, llvm::ArrayRef<double> load, int64_t ranks);

} // namespace epigraph

#endif // EPIGRAPH_PASSES_PARTITION_EXPERTPLACEMENT_H
