// Everything is greedy, over a few thousand slots at most: packing costs slots * ranks, exchanges
// slots of the busiest rank * slots, each as often as it improves, which is bounded.
#include "passes/partition/ExpertPlacement.h"

#include <numeric>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"

using llvm::ArrayRef;
using llvm::SmallVector;

namespace epigraph {
namespace {

using Slots = SmallVector<int64_t>;
using Loads = SmallVector<double>;

/// Indices of `weights`, the heaviest first, equal ones in order.
Slots byWeight(ArrayRef<double> weights) {
  Slots order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](int64_t a, int64_t b) {
    return std::pair(-weights[a], a) < std::pair(-weights[b], b);
  });
  return order;
}

/// Items into `bins` bins of equal numbers of them: the heaviest first, each into the lightest bin
/// with room, if there is one without an item of the same kind. The bin of each item.
Slots pack(ArrayRef<double> weights, ArrayRef<int64_t> kinds, int64_t bins) {
  const int64_t room = static_cast<int64_t>(weights.size()) / bins;
  SmallVector<Slots> held(bins); // kinds
  Slots bin(weights.size());
  Loads total(bins, 0);
  for (int64_t item : byWeight(weights)) {
    auto key = [&](int64_t b) {
      return std::pair(llvm::is_contained(held[b], kinds[item]), total[b]);
    };
    int64_t best = -1;
    for (int64_t b = 0; b < bins; ++b)
      if (static_cast<int64_t>(held[b].size()) < room && (best < 0 || key(b) < key(best)))
        best = b;
    bin[item] = best;
    held[best].push_back(kinds[item]);
    total[best] += weights[item];
  }
  return bin;
}

/// How many replicas each expert of `load` gets of `slots`: every slot left over goes to the expert
/// with the most rows a replica, up to one for each of `ranks` while any has fewer.
Slots countReplicas(ArrayRef<double> load, int64_t slots, int64_t ranks) {
  Slots replicas(load.size(), 1);
  for (int64_t left = slots - static_cast<int64_t>(load.size()); left > 0; --left) {
    int64_t best = -1;
    auto key = [&](int64_t e) {
      return std::pair(replicas[e] < ranks, load[e] / static_cast<double>(replicas[e]));
    };
    for (int64_t e = 0; e < static_cast<int64_t>(load.size()); ++e)
      if (best < 0 || key(e) > key(best))
        best = e;
    ++replicas[best];
  }
  return replicas;
}

/// Slots of ranks, with the load of each.
class Ranks {
public:
  Ranks(Slots slots, ArrayRef<double> load, int64_t ranks)
      : slots(std::move(slots)), perRank(static_cast<int64_t>(this->slots.size()) / ranks),
        share(load.size()), total(ranks, 0) {
    SmallVector<int64_t> replicas(load.size(), 0);
    for (int64_t expert : this->slots)
      ++replicas[expert];
    for (size_t e = 0; e < load.size(); ++e)
      share[e] = load[e] / static_cast<double>(std::max<int64_t>(replicas[e], 1));
    for (size_t slot = 0; slot < this->slots.size(); ++slot)
      total[rankOf(slot)] += share[this->slots[slot]];
  }

  int64_t rankOf(int64_t slot) const { return slot / perRank; }
  ArrayRef<int64_t> of(int64_t rank) const {
    return ArrayRef(slots).slice(rank * perRank, perRank);
  }
  bool has(int64_t rank, int64_t expert) const { return llvm::is_contained(of(rank), expert); }
  bool isTwice(int64_t slot) const { return llvm::count(of(rankOf(slot)), slots[slot]) > 1; }
  ArrayRef<double> totals() const { return total; }
  Slots take() { return std::move(slots); }

  /// The load of the busier of both slots' ranks after an exchange of what they hold.
  double after(int64_t a, int64_t b) const {
    double move = share[slots[a]] - share[slots[b]];
    return std::max(total[rankOf(a)] - move, total[rankOf(b)] + move);
  }
  void exchange(int64_t a, int64_t b) {
    double move = share[slots[a]] - share[slots[b]];
    total[rankOf(a)] -= move;
    total[rankOf(b)] += move;
    std::swap(slots[a], slots[b]);
  }
  /// Whether an exchange puts no replicas of one expert together.
  bool keepsApart(int64_t a, int64_t b) const {
    return rankOf(a) != rankOf(b) && !has(rankOf(b), slots[a]) && !has(rankOf(a), slots[b]);
  }
  int64_t size() const { return static_cast<int64_t>(slots.size()); }
  int64_t slotsPerRank() const { return perRank; }

private:
  Slots slots;
  int64_t perRank;
  Loads share; ///< of each replica of an expert
  Loads total;
};

/// The best partner of `slot` for an exchange that keeps replicas apart, or -1.
int64_t bestPartner(const Ranks &ranks, int64_t slot) {
  int64_t best = -1;
  for (int64_t other = 0; other < ranks.size(); ++other)
    if (ranks.keepsApart(slot, other) &&
        (best < 0 || ranks.after(slot, other) < ranks.after(slot, best)))
      best = other;
  return best;
}

/// Exchanges replicas that share a rank. Returns whether none do.
bool separate(Ranks &ranks) {
  bool clean = true;
  for (int64_t slot = 0; slot < ranks.size(); ++slot) {
    if (!ranks.isTwice(slot))
      continue;
    if (int64_t other = bestPartner(ranks, slot); other >= 0)
      ranks.exchange(slot, other);
    else
      clean = false;
  }
  return clean;
}

/// Replicas on different ranks whatever the load: each expert's on the ranks with the most room
/// (Gale, 1957; Ryser, 1957), those with the most replicas first.
Slots placeApart(ArrayRef<int64_t> replicas, int64_t ranks, int64_t perRank) {
  SmallVector<Slots> experts(ranks);
  Slots order(replicas.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](int64_t a, int64_t b) {
    return std::pair(-replicas[a], a) < std::pair(-replicas[b], b);
  });
  for (int64_t expert : order) {
    Slots byRoom(ranks);
    std::iota(byRoom.begin(), byRoom.end(), 0);
    llvm::sort(byRoom, [&](int64_t a, int64_t b) {
      return std::pair(experts[a].size(), a) < std::pair(experts[b].size(), b);
    });
    for (int64_t i = 0; i < replicas[expert]; ++i)
      experts[byRoom[i % ranks]].push_back(expert);
  }
  Slots slots;
  for (const Slots &of : experts)
    llvm::append_range(slots, of);
  assert(static_cast<int64_t>(slots.size()) == ranks * perRank && "all ranks are full");
  return slots;
}

/// Exchanges experts of the busiest rank as long as that makes it less busy.
void balance(Ranks &ranks) {
  for (int64_t round = 0; round < ranks.size(); ++round) {
    int64_t busiest = llvm::max_element(ranks.totals()) - ranks.totals().begin();
    double most = ranks.totals()[busiest];
    int64_t from = -1, to = -1;
    double best = most * (1 - 1e-9);
    for (int64_t i = 0; i < ranks.slotsPerRank(); ++i) {
      int64_t slot = busiest * ranks.slotsPerRank() + i;
      int64_t other = bestPartner(ranks, slot);
      if (other >= 0 && ranks.after(slot, other) < best)
        best = ranks.after(from = slot, to = other);
    }
    if (from < 0)
      return;
    ranks.exchange(from, to);
  }
}

/// Places `load` on the ranks of one node.
Slots placeOnNode(ArrayRef<double> load, int64_t ranks, int64_t perRank) {
  Slots replicas = countReplicas(load, ranks * perRank, ranks);
  Slots expertOf;
  Loads weights;
  for (size_t e = 0; e < load.size(); ++e)
    for (int64_t i = 0; i < replicas[e]; ++i) {
      expertOf.push_back(static_cast<int64_t>(e));
      weights.push_back(load[e] / static_cast<double>(replicas[e]));
    }
  SmallVector<Slots> experts(ranks);
  Slots rankOf = pack(weights, expertOf, ranks);
  for (size_t item = 0; item < rankOf.size(); ++item)
    experts[rankOf[item]].push_back(expertOf[item]);
  Slots slots;
  for (Slots &of : experts)
    llvm::append_range(slots, of);
  Ranks placed(std::move(slots), load, ranks);
  if (!separate(placed) && llvm::all_of(replicas, [&](int64_t n) { return n <= ranks; }))
    placed = Ranks(placeApart(replicas, ranks, perRank), load, ranks);
  balance(placed);
  return placed.take();
}

/// Groups on nodes, then each node by itself.
Slots placeByNodes(ArrayRef<double> load, const PlacementShape &shape) {
  const int64_t experts = static_cast<int64_t>(load.size());
  const int64_t groupSize = experts / shape.groups, ranks = shape.ranks / shape.nodes;
  Loads groupLoad;
  for (int64_t group = 0; group < shape.groups; ++group) {
    ArrayRef<double> of = load.slice(group * groupSize, groupSize);
    groupLoad.push_back(std::accumulate(of.begin(), of.end(), 0.0));
  }
  Slots nodeOf = pack(groupLoad, llvm::to_vector(llvm::seq(shape.groups)), shape.nodes);
  Slots slots;
  for (int64_t node = 0; node < shape.nodes; ++node) {
    Slots mine;
    Loads mineLoad;
    for (int64_t expert = 0; expert < experts; ++expert)
      if (nodeOf[expert / groupSize] == node) {
        mine.push_back(expert);
        mineLoad.push_back(load[expert]);
      }
    for (int64_t i : placeOnNode(mineLoad, ranks, shape.slotsPerRank))
      slots.push_back(mine[i]);
  }
  return slots;
}

} // namespace

SmallVector<int64_t> planPlacement(ArrayRef<double> load, const PlacementShape &shape) {
  const int64_t experts = static_cast<int64_t>(load.size());
  const bool byNodes = shape.nodes > 1 && shape.groups % shape.nodes == 0 &&
                       shape.ranks / shape.nodes * shape.slotsPerRank >= experts / shape.nodes;
  Slots slots =
      byNodes ? placeByNodes(load, shape) : placeOnNode(load, shape.ranks, shape.slotsPerRank);
  if (shape.ranks * shape.slotsPerRank == experts) {
    Slots inOrder(experts);
    std::iota(inOrder.begin(), inOrder.end(), 0);
    if (imbalanceOf(inOrder, load, shape.ranks) <= imbalanceOf(slots, load, shape.ranks))
      return inOrder;
  }
  return slots;
}

SmallVector<double> loadOfRanks(ArrayRef<int64_t> slots, ArrayRef<double> load, int64_t ranks) {
  return SmallVector<double>(Ranks(Slots(slots), load, ranks).totals());
}

double imbalanceOf(ArrayRef<int64_t> slots, ArrayRef<double> load, int64_t ranks) {
  SmallVector<double> totals = loadOfRanks(slots, load, ranks);
  double sum = std::accumulate(totals.begin(), totals.end(), 0.0);
  return sum == 0 ? 1 : *llvm::max_element(totals) * static_cast<double>(ranks) / sum;
}

} // namespace epigraph
