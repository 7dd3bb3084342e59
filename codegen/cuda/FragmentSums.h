// What warps that multiply few rows of x share: matrix products of single warps whose operands come
// as the lanes of a fragment load them, and the way of the sums through shared memory.
//
// Weights are the operand A of mma.sync, 16 rows at a time, and rows of x the operand B, 8 at a
// time. The four lanes of a fragment's row each load 16 bytes, 64 along K together, and take them
// as they come: which K is which does not matter to a sum, as long as x is loaded the same way.
// Fragments therefore need no shuffles.
#ifndef EPIGRAPH_CODEGEN_CUDA_FRAGMENTSUMS_H
#define EPIGRAPH_CODEGEN_CUDA_FRAGMENTSUMS_H

#include "codegen/cuda/BlockTiles.h"

namespace epigraph::cuda {

inline constexpr int64_t kFragmentRows = 16; ///< weights of one product
inline constexpr int64_t kFragmentTokens = 8;
inline constexpr int64_t kLaneBytes = 16;
/// What the four lanes of a fragment's row load together.
inline constexpr int64_t kLoadBytes = 4 * kLaneBytes;

/// Adds the products of one load of each row to `sums`, four of each fragment of weights and 8 rows
/// of x, the latter innermost. `weights`: 8 words of each fragment, of the lane's row and then of
/// the row 8 below; `x`: 4 words of each 8 rows. `isFp8`: e4m3, else bf16.
void multiplyLoad(llvm::MutableArrayRef<Val> sums, llvm::ArrayRef<Val> weights,
                  llvm::ArrayRef<Val> x, bool isFp8);

/// Adds sums of one block of K to `sums`, times its scales. `ofWeights`: for each fragment, of the
/// lane's row and of the row 8 below; `ofRows`: of the lane's two of each 8 rows of x.
void addScaled(llvm::MutableArrayRef<Val> sums, llvm::ArrayRef<Val> ofBlock,
               llvm::ArrayRef<Val> ofWeights, llvm::ArrayRef<Val> ofRows);

/// Sums of a tile in shared memory: [warps][rows][pitch] of float32, with weight rows part by part.
struct SumLayout {
  int64_t rows;       ///< of x
  int64_t columns;    ///< of each part
  int64_t parts;      ///< LinearEpilogue::parts
  int64_t warps;      ///< of a block, that share K
  int64_t blocks = 1; ///< of a cluster, that share K

  /// Floats from one row to the next: lanes that store a fragment meet no bank twice.
  int64_t pitch() const { return parts * columns + 4; }
  int64_t bytes() const { return warps * rows * pitch() * 4; }
};

/// Adds up what the warps that share K have, and stores the results of a tile.
class SumStore {
public:
  /// `rank`: of the block among those that share K; null if there is one.
  SumStore(KernelFrame &frame, const LinearEpilogue &epilogue, const SumLayout &layout,
           Val rank = {})
      : frame(frame), e(frame.e), epilogue(epilogue), layout(layout), rank(rank) {}

  /// By `threads` threads of each block, of which this one is `thread`. Sums are at `sums`.
  void store(const BlockTile &tile, Val sums, Val thread, int64_t threads) const;

private:
  void storePiece(const BlockTile &tile, Val sums, Val row, Val column, int64_t count) const;
  Vals add(Val address, int64_t count) const;

  KernelFrame &frame;
  Emitter &e;
  const LinearEpilogue &epilogue;
  const SumLayout layout;
  Val rank;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_FRAGMENTSUMS_H
