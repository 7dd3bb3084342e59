// The main loop of a wide projection: one warpgroup fetches rows of x and weights in blocks of 128
// bytes along K into a ring of stages, the others multiply them with wgmma.
//
// With scales (x by rows and 128 columns, w by 128 x 128), each block of K is summed by itself and
// then added, times its scales, to float32 sums of all blocks.
#ifndef EPIGRAPH_CODEGEN_CUDA_WIDEPRODUCTS_H
#define EPIGRAPH_CODEGEN_CUDA_WIDEPRODUCTS_H

#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/WorkList.h"

namespace epigraph::cuda {

/// The tensor maps of a wide kernel, in order.
enum WideMap : size_t { kTokenMap, kWeightMap, kScaleMap };

/// What all tiles of a tensor map need: boxes as the stages of `layout` hold them.
std::vector<TensorMapSpec> wideMaps(const KernelAssembly &assembly, const LinearProblem &problem,
                                    const WideLayout &layout);

/// Fetches what the tiles of `list` need. For one thread of the block.
void fetchTiles(const WideKernel &kernel, const WorkList &list);

/// The sums of one tile: `layout.fragments` accumulators of the thread's warpgroup.
class WideProducts {
public:
  WideProducts(const WideKernel &kernel, Val warpgroup);

  struct Sums {
    llvm::SmallVector<Accumulator> fragments;
    RingPlace next; ///< in the ring, for the next tile
  };
  Sums multiplyTile(const WorkTile &tile, RingPlace place);

private:
  struct ScaleSources;

  Sums multiplyPlain(const WorkTile &tile, RingPlace place);
  Sums multiplyScaled(const WorkTile &tile, RingPlace place);
  void issue(Val stage, int64_t fragment, Accumulator &acc, bool accumulate);
  void release(Val stage);
  Vals weightScales(llvm::ArrayRef<Val> rows, Val block);
  Vals tokenScales(Val stage, Val shift);
  Val tokenScale(llvm::ArrayRef<Val> scales, int64_t reg) const;

  const WideKernel &kernel;
  const WideLayout &layout;
  Emitter &e;
  Val warpgroup;
  Val ring; ///< 32-bit shared address
  Val lane;
  Val rowInTile; ///< of the thread's first sum, along the operand with 64 rows
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WIDEPRODUCTS_H
