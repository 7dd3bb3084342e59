// How the elements of one row are shared out to the threads that compute it. Along a run
// (RowLayout.h) all inputs are contiguous; a run is cut into chunks of neighbouring elements, and a
// thread takes every so many-th chunk.
//
// Chunks of a repetition are counted in slots, whose number is a power of two where groups of lanes
// must reduce over repetitions: a repetition then lies in neighbouring lanes of one warp.
#ifndef EPIGRAPH_CODEGEN_CUDA_ROWCHUNKS_H
#define EPIGRAPH_CODEGEN_CUDA_ROWCHUNKS_H

#include "codegen/cuda/Emitter.h"
#include "codegen/target/RowLayout.h"

#include <map>
#include <memory>
#include <tuple>

namespace epigraph::cuda {

/// The chunks of a run.
struct ChunkGrid {
  int64_t width = 1;  ///< elements of a chunk; the last of a repetition may have fewer
  int64_t chunks = 1; ///< of a repetition
  int64_t lanes = 1;  ///< slots of a repetition; those past its chunks are idle
  int64_t count = 1;  ///< repetitions
  int64_t length = 1; ///< elements of a repetition

  /// Of `run`; `grouped`: lanes is a power of two.
  ChunkGrid(const Run &run, bool grouped);

  int64_t slots() const { return lanes * count; }
  /// Whether some chunk has fewer than `width` elements.
  bool isRagged() const { return length % width != 0; }
  auto key() const { return std::make_tuple(length, count, lanes); }
};

/// The chunk of a run that this thread computes in one pass. Where there is none for it, its place
/// is that of another one, so that what it loads exists, and `left` is 0.
struct Chunk {
  /// A value at a place: the value, start and step of the place, whether it is rounded.
  using Key = std::tuple<void *, int64_t, int64_t, bool>;

  int64_t width = 1;
  int64_t lanes = 1;  ///< that share a repetition
  int64_t length = 1; ///< of a repetition, in elements
  Val repetition;     ///< null: the run has one
  Val column;         ///< first element, counted from the start of the repetition; null: 0
  Val left;           ///< elements that exist, `width` or more for all; null: all do
  bool isRagged = false;
  Val isFirst; ///< i1: the repetition's first chunk, and it exists
  std::map<Key, Vals> known;
  /// Where pairs of elements are apart in the repetition: the chunk of the others', once it is
  /// needed, and of that, this one.
  std::unique_ptr<Chunk> partner;
  Chunk *origin = nullptr;

  /// i1: whether element `index` exists; null where it always does.
  Val exists(int64_t index);
};

/// The threads of a row.
struct RowThreads {
  /// A row has up to so many chunks in the registers of each thread; longer ones are walked in
  /// loops.
  static constexpr int64_t kMostPasses = 4;
  static constexpr int64_t kThreads = 128; ///< of a block with several rows

  int64_t ofRow = 32;  ///< a power of two up to 32, or a multiple of 32
  int64_t rows = 1;    ///< of a block
  int64_t columns = 1; ///< blocks of a row
  bool eager = false;  ///< registers may hold what is needed later, so that it is there by then

  /// For rows of `slots` slots at most. `divisible`: no value needs the whole row, so that a row
  /// may be shared out to blocks.
  RowThreads(int64_t slots, bool divisible);
  /// For rows that `columns` blocks of `ofRow` threads share.
  static RowThreads ofBlocks(int64_t ofRow, int64_t columns);
  /// For few rows of which values need the whole, of more slots than a warp takes: the blocks of a
  /// cluster share a long one.
  static RowThreads ofFew(int64_t slots);

  int64_t ofBlock() const { return ofRow * rows; }
  bool isWarp() const { return ofRow <= 32; }
  int64_t passes(int64_t slots) const { return (slots + stride() - 1) / stride(); }
  /// Slots from one pass to the next.
  int64_t stride() const { return ofRow * columns; }

private:
  RowThreads() = default;
};

/// The chunk at `slot` (i32) of `grid`. `mayMiss`: the slot may lie past the last.
Chunk chunkAt(Emitter &e, const ChunkGrid &grid, Val slot, bool mayMiss);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ROWCHUNKS_H
