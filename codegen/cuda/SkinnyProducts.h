// The main loop of a projection of few rows: what one warp multiplies. Fragments (FragmentSums.h)
// are loaded straight into registers and need no shared memory.
#ifndef EPIGRAPH_CODEGEN_CUDA_SKINNYPRODUCTS_H
#define EPIGRAPH_CODEGEN_CUDA_SKINNYPRODUCTS_H

#include "codegen/cuda/FragmentSums.h"
#include "codegen/cuda/SkinnyLinear.h"

namespace epigraph::cuda {

/// What follows from a tile for one problem.
struct SkinnyLayout {
  SkinnyTile tile;
  int64_t parts;
  int64_t columns;    ///< of a tile, of each part
  int64_t weightRows; ///< of a tile, of all parts
  bool isFp8;
  int64_t depthBytes; ///< of a row of weights
  int64_t iterations; ///< along K, of tile.unroll loads each
  bool isPartial;     ///< the last iteration reaches past K
  SumLayout sums;     ///< of the warps and blocks that share K

  SkinnyLayout(const LinearProblem &problem, const LinearEpilogue &epilogue,
               const SkinnyTile &tile);

  int64_t threads() const { return 32 * tile.warpsAcross * tile.warpsDeep; }
  /// Accumulators of a warp, of 16 weight rows by 8 rows of x each.
  int64_t accumulators() const { return tile.fragments * tile.rows / 8; }
};

class SkinnyProducts {
public:
  /// `rank`: of the block among those that share K; null if there is one.
  SkinnyProducts(KernelFrame &frame, const LinearProblem &problem, const LinearEpilogue &epilogue,
                 const SkinnyLayout &layout, Val rank);

  /// Fetches the first weights of the warp into the cache, before x is there.
  void prefetch(const BlockTile &tile);
  /// Leaves the warp's sums in shared memory at `sums`.
  void multiply(const BlockTile &tile, Val sums);

private:
  /// Of FP8: what the sums of one block of 128 along K are multiplied by.
  struct ScaleSources {
    Vals weights; ///< of each fragment, at block 0
    Vals rows;    ///< clamped row of x for each 8 rows, two of them
  };

  /// The first of a fragment's 16 rows of weights, among those of its part.
  Val columnOf(const BlockTile &tile, int64_t fragment);
  /// Where the lane's part of its two rows of each fragment starts, and of its row of each 8 of x.
  Vals weightSources(const BlockTile &tile);
  Vals rowSources(const BlockTile &tile);
  ScaleSources scaleSources(const BlockTile &tile);
  Vals iterate(llvm::ArrayRef<Val> weights, llvm::ArrayRef<Val> x, const ScaleSources &scales,
               Val iteration, llvm::ArrayRef<Val> carried);
  void promote(llvm::MutableArrayRef<Val> sums, llvm::ArrayRef<Val> ofBlock,
               const ScaleSources &scales, Val block);
  void keep(llvm::ArrayRef<Val> sums, Val memory);
  std::pair<Val, Val> iterations();

  KernelFrame &frame;
  Emitter &e;
  const LinearProblem &problem;
  const LinearEpilogue &epilogue;
  const SkinnyLayout &layout;
  Val rank;
  Val warpAcross, warpDeep;
  Val group, quad; ///< the lane's row in a fragment, and its place among the four of the row
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_SKINNYPRODUCTS_H
