// A row that the blocks of a cluster share, so that even a single long one, such as the logits of a
// vocabulary, is read by thousands of threads.
#ifndef EPIGRAPH_CODEGEN_CUDA_CLUSTERROW_H
#define EPIGRAPH_CODEGEN_CUDA_CLUSTERROW_H

#include "codegen/cuda/KernelAssembly.h"
#include "codegen/cuda/RowPieces.h"

namespace epigraph::cuda {

/// How the blocks of a cluster, and their threads, share a row.
struct RowSharing {
  /// Loads of a thread that are under way at once.
  static constexpr int64_t kLoads = 4;

  /// By up to `blocks` blocks of up to `threads` threads; by fewer where the row is short.
  RowSharing(const RowPieces &row, int64_t blocks, int64_t threads);

  int64_t warps() const { return threads / 32; }
  int64_t allWarps() const { return blocks * warps(); }

  int64_t pieces;  ///< loads that a row takes
  int64_t blocks;  ///< of the cluster
  int64_t share;   ///< pieces of a block
  int64_t rounds;  ///< of kLoads loads, in which a thread reads its part
  int64_t threads; ///< of a block
};

/// One block's part of a row.
class ClusterRow {
public:
  struct Element {
    Val value;  ///< f32
    Val column; ///< i32
    Val exists; ///< i1; where it is false, this is an element that the thread has had already
  };

  ClusterRow(KernelFrame &frame, const TensorView &x, const RowPieces &pieces,
             const RowSharing &sharing, Val row);

  /// Carries values, at first `initial`, over the thread's elements, in ascending order of columns.
  Vals fold(llvm::ArrayRef<Val> initial,
            llvm::function_ref<Vals(const Element &, llvm::ArrayRef<Val>)> body) const;

  /// The lowest column of the thread.
  Val firstColumn() const;

  /// All threads of the cluster meet.
  void meet() const;
  /// The address of `pointer` (shared memory) in block `block` of the cluster.
  Val inBlock(Val pointer, Val block) const;

  KernelFrame &frame;
  Emitter &e;
  const RowSharing &sharing;
  const int64_t columns;
  Val rank; ///< of the block in its cluster

private:
  mlir::Type elementType;
  const int64_t pieceBytes, pieceElements;
  Val base;        ///< of the row
  Val begin, last; ///< pieces of the block
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_CLUSTERROW_H
