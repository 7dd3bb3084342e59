// One launch that routes a few tokens: it normalizes their rows, projects them to the logits of the
// experts, chooses, and copies the rows to their places. The blocks of one cluster share the
// experts of the projection, and the columns that are stored; all else each does for itself, so
// that they meet only once, when the logits are there.
#ifndef EPIGRAPH_CODEGEN_CUDA_ROUTERBLOCK_H
#define EPIGRAPH_CODEGEN_CUDA_ROUTERBLOCK_H

#include "codegen/cuda/RouterProducts.h"
#include "codegen/cuda/RowEvaluator.h"
#include "codegen/cuda/TokenRouter.h"

namespace epigraph::cuda {

/// Rows that are normalized, projected to logits, routed by these and permuted.
struct RouterProblem {
  mlir::Value normalized, permuted; ///< the rows, and these in their places
  Routing routing;
  TensorView weights;                         ///< of the projection
  unsigned logits = 0, slots = 0, counts = 0; ///< results

  int64_t topK() const {
    epi::RouteOp op = routing.op;
    return static_cast<int64_t>(op.getTopK());
  }
};

/// Adds the launch for up to layout.tokens tokens.
mlir::LogicalResult addRouter(KernelAssembly &assembly, const RouterProblem &problem,
                              const RouterLayout &layout, llvm::StringRef suffix);
/// Whether a launch has the registers that it needs.
bool fitsRegisters(const RouterProblem &problem, const RouterLayout &layout);
/// Bytes of shared memory that the launch takes.
int64_t routerSharedBytes(exec::KernelOp kernel, const RouterProblem &problem,
                          const RouterLayout &layout);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ROUTERBLOCK_H
