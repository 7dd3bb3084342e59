#include "codegen/cuda/AttentionItems.h"
#include "codegen/cuda/ExpandedAttention.h"

#include <algorithm>

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// Of keys and values of a round, unless those of one head are more: those of two or three are to
/// stay in the second-level cache until they have been read.
constexpr int64_t kRoundBytes = 16 << 20;
constexpr int64_t kMostRegions = 8;
/// Few long units must not leave the rest of the device without work.
constexpr int64_t kLeastRounds = 4;

} // namespace

int64_t ExpandedProblem::slots() const {
  return std::max(pages.mostPages(),
                  std::min(pages.mostPages() * heads, kMostRegions * kRoundBytes / pageBytes()));
}

void ExpandedRounds::read(llvm::function_ref<Val(Val)> expansions) {
  pageCount = e.load(e.i32(), problem.pages.count(frame));
  items = itemCount(frame, kTileItems);
  expansionsOfHead = expansions(pageCount);
  Val heads = e.i32(problem.heads), pagesOfHead = e.maximum(pageCount, e.i32(1));
  Val most = e.minimum(e.i32(kRoundBytes / problem.pageBytes()) / pagesOfHead,
                       e.i32(llvm::divideCeil(problem.heads, kLeastRounds)));
  most = e.maximum(most, e.i32(1));
  rounds = (heads + most - 1) / most;
  headsOfRound = (heads + rounds - 1) / rounds;
  Val fitting = e.i32(problem.slots()) / (pagesOfHead * headsOfRound);
  regions = e.minimum(fitting, e.i32(kMostRegions));
  lead = e.toI32(e.logicalAnd(rounds > 1, regions > 1));
}

/// Units come in groups: those that expand of one round, and those that attend of the round that
/// is `lead` before it.
ExpandedRounds::Unit ExpandedRounds::unit(Val index) const {
  Val group = index / unitsOfGroup(), place = index % unitsOfGroup();
  Val expansions = expansionsOfHead * headsOfRound, isExpansion = place < expansions;
  place = e.select(isExpansion, place, place - expansions);
  Val round = e.select(isExpansion, group, group - lead), first = round * headsOfRound;
  Val left = e.i32(problem.heads) - first, head = place % headsOfRound;
  Val exists = e.logicalAnd(e.logicalAnd(round >= 0, round < rounds), head < left);
  Val headOfRegions = round % regions * headsOfRound + head;
  Val slots = e.at(e.offset(frame.workspace(), problem.pages.bytes()), headOfRegions * pageCount,
                   problem.pageBytes());
  return {exists, isExpansion,          {round, first, e.minimum(headsOfRound, left)},
          head,   place / headsOfRound, slots};
}

void ExpandedRounds::beforeUnit(const Unit &unit, int64_t ofUnit,
                                llvm::function_ref<void(Val, Val)> wait) const {
  const Round &round = unit.round;
  Val before = round.index - regions; // What the region had before.
  e.ifElse(
      unit.isExpansion,
      [&] {
        e.ifThen(before >= 0,
                 [&] { wait(counter(before, kTiles), items * headsOfRound * ofUnit); });
      },
      [&] { wait(counter(round.index, kExpansions), expansionsOfHead * round.count * ofUnit); });
}

Val ExpandedRounds::counter(Val round, Kind kind) const {
  return problem.pages.counter(frame, round * 2 + (1 + kind));
}

Val ExpandedRounds::physicalPage(Val page) const {
  return e.load(e.i32(), problem.pages.physicalPage(frame, page));
}

Val ExpandedRounds::entries(Val page) const {
  return e.at(frame.address(problem.cache), physicalPage(page), kPageTokens * problem.entryBytes());
}

} // namespace epigraph::cuda
