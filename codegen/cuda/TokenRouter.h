// Routing of one token by one warp, which kernels that route share.
#ifndef EPIGRAPH_CODEGEN_CUDA_TOKENROUTER_H
#define EPIGRAPH_CODEGEN_CUDA_TOKENROUTER_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

/// An epi.route of a kernel.
struct Routing {
  epi::RouteOp op;
  std::optional<TensorView> logits; ///< none if the kernel makes them
  std::optional<TensorView> bias;
  unsigned ids, weights; ///< results

  /// Of `op`, whose results the kernel must yield. A diagnostic if it cannot be computed.
  static mlir::FailureOr<Routing> describe(KernelAssembly &assembly, epi::RouteOp op);
};

/// The lane's part of the bias, which is the same for all tokens; empty if there is none. May stand
/// before waitForPrevious.
Vals loadBias(KernelFrame &frame, const Routing &routing);

/// What a token chose: lane j has its j-th expert, and that one's weight.
struct Choice {
  Val id, weight;
};
/// All lanes must take part. `bias`: of loadBias.
Choice routeToken(KernelFrame &frame, const Routing &routing, llvm::ArrayRef<Val> bias, Val token);
/// The same by the logits that follow one another at `logits`, aligned to 16 bytes.
Choice routeLogits(Emitter &e, const Routing &routing, llvm::ArrayRef<Val> bias, Val logits);

/// Emits `body` in the lanes that have one of the token's choices.
void forChoice(Emitter &e, const Routing &routing, llvm::function_ref<void()> body);
/// Stores the choice of each lane as the kernel's results.
void storeChoice(KernelFrame &frame, const Routing &routing, Val token, Choice choice);

/// Adds a launch that routes every token, one for each warp.
void addRoute(KernelAssembly &assembly, const Routing &routing, llvm::StringRef suffix);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_TOKENROUTER_H
