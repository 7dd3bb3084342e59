// The shared memory of a block that attends by products of warpgroups, and who may touch it when.
//
// One warpgroup fetches and two multiply, each 64 of the tile's queries. Keys and values pass
// through rings of their own, in steps of two pages, since keys are done with one product before
// the values of the same step are. Rows are cut into chunks of 64 elements, swizzled by 128 bytes;
// a chunk of a step has the tokens of its first page and then those of its second.
#ifndef EPIGRAPH_CODEGEN_CUDA_TILERINGS_H
#define EPIGRAPH_CODEGEN_CUDA_TILERINGS_H

#include "codegen/cuda/Hopper.h"
#include "runtime/artifact/AttentionItem.h"
#include "runtime/artifact/KernelAbi.h"

#include <optional>

namespace epigraph::cuda {

/// Sizes in elements, of bf16.
struct TileShape {
  int64_t key, value;
  double scale;
  std::optional<int64_t> window; ///< positions that a token sees at most
};

class TileRings {
public:
  static constexpr int64_t kWarpgroup = 128;
  static constexpr int64_t kMultipliers = 2; ///< warpgroups; the one after them fetches
  static constexpr int64_t kThreads = (kMultipliers + 1) * kWarpgroup;
  /// Tokens of a step.
  static constexpr int64_t kStepPages = 2, kStep = kStepPages * kPageTokens;
  /// Elements of a row of a chunk, its bytes, and what a chunk has of a page and of a step.
  static constexpr int64_t kChunkColumns = 64, kLine = 2 * kChunkColumns;
  static constexpr int64_t kPageChunk = kPageTokens * kLine, kStepChunk = kStep * kLine;

  TileRings(Emitter &e, const TileShape &shape);

  static bool fits(const TileShape &shape);
  static int64_t sharedBytes(const TileShape &shape);
  /// Of the keys of a step.
  static int64_t keyBytes(const TileShape &shape) { return shape.key * 2 * kStep; }

  /// By one thread, before the block meets.
  void prepare() const;

  /// A buffer when it is used for the `use`-th time.
  struct Place {
    Val address, full, empty, parity;
    bool countsThreads = false; ///< that free it; warps otherwise

    void waitUntilFree() const { wait(empty, parity ^ 1); }
    void waitUntilFull() const { wait(full, parity); }
    /// By all threads that multiply, when they have read it.
    void release() const;
  };
  /// The queries of a tile. What is done with them is told by a number in unitSlot().
  Place queries(Val use) const;
  Place keys(Val use) const;
  Place values(Val use) const;
  Val unitSlot() const;

private:
  Place place(int64_t first, int64_t bytes, int64_t firstBarrier, int64_t count, Val use) const;

  Emitter &e;
  int64_t stages, queryBytes, keyStage, valueStage;
  Val shared;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_TILERINGS_H
