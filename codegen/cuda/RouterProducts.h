// The projection of a few tokens to the logits of all experts by one cluster, whose blocks share
// the experts. A block's warps share K: each has the products of all of the block's experts with
// its part of the rows.
//
// Weights are the operand A of mma.sync, 16 experts at a time, and rows of x the operand B, as in
// SkinnyProducts.h. A block asks for all of its weights before the kernel before has ended. They
// arrive in registers and, the others, in shared memory, where each thread keeps the pieces that it
// will multiply. A projection with more weights than both have room for is left to other kernels: a
// cluster would read them more slowly than the whole GPU does.
#ifndef EPIGRAPH_CODEGEN_CUDA_ROUTERPRODUCTS_H
#define EPIGRAPH_CODEGEN_CUDA_ROUTERPRODUCTS_H

#include "codegen/cuda/KernelAssembly.h"

#include <algorithm>

namespace epigraph::cuda {

/// How a cluster shares the projection.
struct RouterLayout {
  static constexpr int64_t kThreads = 256; ///< of a block
  static constexpr int64_t kWarps = kThreads / 32;
  /// Of a thread's pieces, how many lie in registers, 4 for each.
  static constexpr int64_t kHeld = 16;

  int64_t tokens;  ///< at most 8
  int64_t blocks;  ///< of the cluster
  int64_t experts; ///< a multiple of 16 blocks
  int64_t depth;   ///< K, a multiple of 32

  int64_t expertsOfBlock() const { return experts / blocks; }
  int64_t fragments() const { return expertsOfBlock() / 16; }
  int64_t steps() const { return depth / 32; }
  int64_t stepsOfWarp() const { return (steps() + kWarps - 1) / kWarps; }
  /// 16 bytes of weights each.
  int64_t pieces() const { return stepsOfWarp() * fragments() * 2; }
  /// Bytes from one row of x in shared memory to the next: rows of two tokens are read at once from
  /// different banks.
  int64_t pitch() const;
  int64_t rowBytes() const { return tokens * pitch(); }
  int64_t sumBytes() const { return kWarps * tokens * expertsOfBlock() * 4; }
  int64_t logitBytes() const { return tokens * experts * 4; }
  /// Of the pieces that lie in shared memory.
  int64_t keptBytes() const { return std::max<int64_t>(pieces() - kHeld, 0) * kThreads * 16; }
};

class RouterProducts {
public:
  /// `weights`: [experts, K] of bf16. `keep`: keptBytes() of shared memory.
  RouterProducts(KernelFrame &frame, const RouterLayout &layout, const TensorView &weights,
                 Val keep);

  /// Asks for the weights. May stand before waitForPrevious.
  void fetch();
  /// Multiplies the tokens' `rows` (shared memory, layout.pitch() bytes apart) and leaves the
  /// warp's sums at `sums`: [warps][tokens][expertsOfBlock] of float32. Before anything is read
  /// there, the block must meet.
  void multiply(Val rows, Val sums);
  /// Adds up what the warps left at `sums`, and leaves each of the block's logits at its place in
  /// `logits`, [tokens][experts] in the shared memory of all blocks, where `barrier` counts them
  /// (ClusterExchange.h). publish(token, expert, logit): of each logit, by one thread of the
  /// cluster.
  void share(Val sums, Val logits, Val barrier, llvm::function_ref<void(Val, Val, Val)> publish);

private:
  /// The address of piece `index` of the thread: 8 weights of one expert.
  Val pieceAddress(int64_t index);
  Val keptAddress(int64_t index);
  Vals loadPiece(int64_t index);
  /// Where the lane's part of the warp's step `step` is in a row of weights or of x; if there is no
  /// such step, that of another one.
  Val atStep(Val row, int64_t step);
  /// i1: whether the step exists; null if it does for all warps.
  Val existsAt(int64_t step);

  Emitter &e;
  const RouterLayout &layout;
  Val weights, keep;
  Val rank;        ///< of the block
  Val group, quad; ///< the lane's expert in a fragment, or token, and its place among four of it
  llvm::SmallVector<Vals> pieces; ///< those in registers
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ROUTERPRODUCTS_H
