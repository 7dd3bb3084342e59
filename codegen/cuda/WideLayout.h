// How a wide projection is cut into tiles, and what a block has in shared memory for one.
#ifndef EPIGRAPH_CODEGEN_CUDA_WIDELAYOUT_H
#define EPIGRAPH_CODEGEN_CUDA_WIDELAYOUT_H

#include "codegen/cuda/LinearEpilogue.h"

namespace epigraph::cuda {

/// Scales of x are copied from a multiple of so many rows on, 16 bytes, wherever a tile starts.
inline constexpr int64_t kScaleRowAlignment = 4;

/// The choices that are free. A tile is `rows` of x by `columns` of each part of the product.
struct WideTile {
  /// Weights are the operand of wgmma that has 64 rows in each warpgroup, and rows of x the other:
  /// for tiles of few rows. `rows` is a multiple of 16 then, else of 64; 64 columns are one
  /// warpgroup's.
  bool swapped = false;
  int64_t rows = 128;
  int64_t columns = 128;
  /// Neighbouring blocks along the rows that share the weights, which one of them fetches for all.
  int64_t multicast = 1;
  /// Blocks that share the tile's K, and add up what each of them has.
  int64_t split = 1;
  /// Blocks that a multiprocessor holds at once: two hide the start and end of one another.
  int64_t blocksOfCore = 1;
  /// All tiles' K, one after the other, is shared out to the blocks evenly, so that all read as
  /// much of the weights and end together, however many tiles there are. What several blocks have
  /// of a tile is added up through memory.
  bool streamed = false;

  bool operator==(const WideTile &) const = default;
};

/// What follows from a tile for one problem. Offsets and sizes are bytes of shared memory.
struct WideLayout {
  WideTile tile;
  /// Whether no launch has rows for a second tile along them: which weights a block needs first
  /// depends on nothing then, and it fetches them before the kernel before has ended.
  bool hasOneRowTile;
  bool isFp8;
  int64_t parts;
  int64_t cluster;       ///< blocks
  int64_t warpgroups;    ///< that multiply; one more fetches
  int64_t blockDepth;    ///< K of one stage: 128 bytes
  int64_t blocksOfDepth; ///< stages' worth of K in all
  int64_t columnTiles;   ///< of one matrix
  int64_t shares;        ///< of a streamed projection: one of each block; else 0
  int64_t leastSteps;    ///< of K, of a share that has any

  int64_t weightRows;   ///< of a stage: the columns of all parts
  int64_t fragmentStep; ///< weight rows that one accumulator of a block covers
  int64_t fragments;    ///< accumulators of a warpgroup
  int64_t fragmentWidth;

  int64_t tokenBytes, weightBytes, stageBytes;
  int64_t scaleStride; ///< bytes of the rows' scales in a stage
  int64_t stages;

  // Slabs: what passes through shared memory at once on the way out, by a team of warpgroups.
  int64_t teams;
  int64_t teamThreads;
  int64_t slabRows, slabColumns;
  int64_t slabPitch;     ///< bytes from one row to the next
  int64_t slabPartBytes; ///< of one part
  int64_t slabBytes;     ///< of all parts
  int64_t slabs;         ///< of a team's tile

  int64_t scalesAt, slabsAt, fullAt, emptyAt, listAt, sharedBytes;

  int64_t threads() const { return (warpgroups + 1) * 128; }
  /// Sums of a thread that multiplies.
  int64_t sums() const { return fragments * fragmentWidth / 2; }
  /// Scratch in which a block leaves its sums of a tile for another to add.
  int64_t partialBytes() const { return warpgroups * 128 * sums() * 4; }

  /// Of launches with up to `mostRows` rows; 0: any number.
  WideLayout(const LinearProblem &problem, const LinearEpilogue &epilogue, const WideTile &tile,
             const CudaTarget &target, int64_t mostRows);

private:
  void shareOut(const CudaTarget &target);
  void layOutSlabs(const LinearProblem &problem);
  void layOutShared(const LinearProblem &problem, int64_t sharedLimit);
};

/// What all parts of a wide kernel's builder share.
struct WideKernel {
  KernelFrame &frame;
  const LinearProblem &problem;
  const LinearEpilogue &epilogue;
  const WideLayout &layout;
  Val shared; ///< the block's shared memory
  Val rank;   ///< of the block in its cluster

  Emitter &e() const { return frame.e; }
  /// Whether the first weights are fetched before the kernel before has ended.
  bool fetchesEarly() const { return layout.hasOneRowTile || problem.hasOldCounts; }
  /// Barriers of a stage: its data is there; its data has been used.
  Val full(Val stage) const { return barrier(layout.fullAt, stage); }
  Val empty(Val stage) const { return barrier(layout.emptyAt, stage); }

private:
  Val barrier(int64_t first, Val stage) const {
    return frame.e.at(frame.e.offset(shared, first), stage, 8);
  }
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WIDELAYOUT_H
