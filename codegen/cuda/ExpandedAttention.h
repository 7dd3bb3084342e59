// Latent attention in its expanded form, as both of its kernels do it: the parts of the problem,
// and the order of the work.
#ifndef EPIGRAPH_CODEGEN_CUDA_EXPANDEDATTENTION_H
#define EPIGRAPH_CODEGEN_CUDA_EXPANDEDATTENTION_H

#include "codegen/cuda/ContextPages.h"
#include "runtime/artifact/KernelAbi.h"

namespace epigraph::cuda {

/// An mla_attention with `up`. Sizes in elements.
struct ExpandedProblem {
  TensorView q, rope, up;
  mlir::BlockArgument cache;
  unsigned result;
  mlir::Type resultType;
  int64_t heads, nope, ropeSize, value, latent;
  double scale;
  ContextPages pages;

  int64_t entryBytes() const { return (latent + ropeSize) * 2; }
  /// Of a head: its key, then its value.
  int64_t columns() const { return nope + value; }
  /// Of one head's keys and values of a page in the workspace.
  int64_t pageBytes() const { return kPageTokens * columns() * 2; }
  /// How many of these the workspace has room for.
  int64_t slots() const;
  int64_t workspaceBytes() const { return pages.bytes() + slots() * pageBytes(); }
};

/// Counters of the launch: the next unit, then of each round what is done of both kinds. A round
/// has one head at least.
constexpr int64_t expandedCounters(int64_t heads) { return 1 + 2 * heads; }

/// The launch goes through the heads in rounds. Units of work of a round are those that expand a
/// few pages for a head, and those that attend, each for a tile and a head. A unit that attends may
/// start when all of its round that expand are done; one that expands, when what the region of the
/// workspace had before has been read. Where there is room for several rounds, those that attend
/// come after the next round's that expand, so that there is work while the last of either end.
class ExpandedRounds {
public:
  enum Kind { kExpansions, kTiles };

  /// The heads [first, first + count).
  struct Round {
    Val index, first, count;
  };
  struct Unit {
    Val exists; ///< some do not, so that rounds are equal
    Val isExpansion;
    Round round;
    Val head;  ///< in the round; neighbouring units are of neighbouring heads
    Val index; ///< among the units of the kind and head
    Val slots; ///< address of what the head's pages are expanded to, in order of the list
  };

  ExpandedRounds(KernelFrame &frame, const ExpandedProblem &problem)
      : frame(frame), e(frame.e), problem(problem) {}

  /// Reads the step, after waitForPrevious; where a unit begins it is read anew, so that it holds
  /// no registers meanwhile. `expansions` gives the units that expand `pages` pages for a head.
  void read(llvm::function_ref<Val(Val pages)> expansions);

  Val pages() const { return pageCount; }
  Val units() const { return (rounds + lead) * unitsOfGroup(); }
  Val nextUnit() const { return problem.pages.counter(frame, e.i32(0)); }
  Unit unit(Val index) const;
  /// The last tiles of a sequence have the longest contexts, so they come first.
  Val tileOf(const Unit &unit) const { return items - 1 - unit.index; }

  /// Emits `wait`, with a counter and what it must reach, for what the unit must wait for. Each
  /// unit counts `ofUnit`, at counter().
  void beforeUnit(const Unit &unit, int64_t ofUnit,
                  llvm::function_ref<void(Val counter, Val count)> wait) const;
  Val counter(Val round, Kind kind) const;

  /// The list's page `page` in the cache, and its entries there.
  Val physicalPage(Val page) const;
  Val entries(Val page) const;

private:
  Val unitsOfGroup() const { return (expansionsOfHead + items) * headsOfRound; }

  KernelFrame &frame;
  Emitter &e;
  const ExpandedProblem &problem;
  Val pageCount, items, expansionsOfHead;
  Val rounds, headsOfRound;
  Val regions; ///< of the workspace: rounds that it has room for
  Val lead;    ///< rounds by which units that expand come before those that attend: 0 or 1
};

/// Whether products of warpgroups can compute it: sizes are multiples of 64 that fit shared memory,
/// and tensor maps can describe the operands.
bool fitsWarpgroups(const ExpandedProblem &problem);
/// Adds the launch that does, after that which lists the pages.
void addWarpgroupExpandedAttention(KernelAssembly &assembly, const ExpandedProblem &problem);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_EXPANDEDATTENTION_H
