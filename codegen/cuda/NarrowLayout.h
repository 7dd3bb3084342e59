// How a narrow projection is cut into units, and what a block has in shared memory for them.
#ifndef EPIGRAPH_CODEGEN_CUDA_NARROWLAYOUT_H
#define EPIGRAPH_CODEGEN_CUDA_NARROWLAYOUT_H

#include "codegen/cuda/FragmentSums.h"
#include "codegen/cuda/GroupList.h"

namespace epigraph::cuda {

/// The choices that are free. A unit is `rows` of x by `columns` of each part of the product, with
/// all of K.
struct NarrowTile {
  int64_t rows = 8;     ///< 1, or a multiple of 8
  int64_t columns = 16; ///< 8, 16 or 32
  int64_t warps = 8;    ///< that share K; even
  int64_t loads = 2;    ///< of a warp in a stage, each of 64 bytes of every weight row

  bool operator==(const NarrowTile &) const = default;
};

/// What follows from a tile for one problem. Offsets and sizes are bytes of shared memory.
struct NarrowLayout {
  NarrowTile tile;
  bool hasOneRowTile; ///< whether no launch has rows for a second unit along them
  bool isFp8;
  int64_t parts;
  int64_t weightRows;     ///< of a unit, those of all parts
  int64_t fragments;      ///< of 16 weight rows, the last of which may have 8
  int64_t tokenFragments; ///< of 8 rows of x
  int64_t across;         ///< units of one matrix

  int64_t depthBytes; ///< of a row of weights
  int64_t stageDepth; ///< bytes of each weight row in a stage
  int64_t steps;      ///< stages' worth of K
  bool isPartial;     ///< the last of them reaches past K
  int64_t scales;     ///< blocks of 128 along K that a warp has a part of, in a step; 0 without

  int64_t pitch; ///< from one weight row of a stage to the next
  int64_t stageBytes, stages;
  SumLayout sums;
  int64_t sumsAt, fullAt, emptyAt, listAt, sharedBytes;

  int64_t multipliers() const { return tile.warps * 32; }
  int64_t threads() const;
  /// Registers of a thread that multiplies, about.
  int64_t registers() const;

  /// Of launches with up to `mostRows` rows; 0: any number.
  NarrowLayout(const LinearProblem &problem, const LinearEpilogue &epilogue, const NarrowTile &tile,
               const CudaTarget &target, int64_t mostRows);
};

/// Threads that store what others have multiplied.
inline constexpr int64_t kNarrowStorers = 64;
/// Buffers of sums, in turn.
inline constexpr int64_t kSumBuffers = 2;

/// What all parts of a narrow kernel's builder share.
struct NarrowKernel {
  KernelFrame &frame;
  const LinearProblem &problem;
  const LinearEpilogue &epilogue;
  const NarrowLayout &layout;
  Val shared; ///< the block's shared memory

  Emitter &e() const { return frame.e; }
  bool isGrouped() const { return problem.kind == LinearKind::Grouped; }
  /// Whether the first weights are fetched before the kernel before has ended.
  bool fetchesEarly() const { return !isGrouped() || problem.hasOldCounts; }
  /// Barriers of a stage: its weights are there; they have been read.
  Val full(Val stage) const { return frame.e.at(frame.e.offset(shared, layout.fullAt), stage, 8); }
  Val empty(Val stage) const {
    return frame.e.at(frame.e.offset(shared, layout.emptyAt), stage, 8);
  }
  /// Of the block's unit `index`: where its sums go, and the barriers of all that multiply and
  /// store: the sums are there; they have been stored.
  Val sumsOf(Val index) const;
  Val haveSums(Val index) const { return (index & 1) + 1; }
  Val haveStored(Val index) const { return (index & 1) + 1 + kSumBuffers; }
  int64_t meeting() const { return layout.multipliers() + kNarrowStorers; }
};

/// The units of a block: neighbours, as many as of any other block or one more.
class NarrowUnits {
public:
  /// Emits what is computed once, by all threads, before a barrier of the block.
  explicit NarrowUnits(const NarrowKernel &kernel);

  /// Only after that barrier.
  void locate();
  /// Units whose weights are known without the number of rows: all of groups, else those of the
  /// first tile of rows.
  Val known() const { return count; }
  /// All units. Only after waitForPrevious.
  Val all() const;
  /// Where the search for the first unit's group starts.
  Val start() const { return place; }
  /// Unit `index` of the block. `place`: of its group or one before; becomes that of its group.
  /// `rowEnd`: of one matrix, the number of rows, or null.
  BlockTile at(Val index, Val &place, Val rowEnd = {}) const;
  /// Emits `body` for the units from `begin` to `end`.
  Vals forEach(Val begin, Val end, Val rowEnd, llvm::ArrayRef<Val> initial,
               llvm::function_ref<Vals(Val, const BlockTile &, llvm::ArrayRef<Val>)> body) const;

private:
  const NarrowKernel &kernel;
  Emitter &e;
  GroupList groups;
  Val first, count, place;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_NARROWLAYOUT_H
