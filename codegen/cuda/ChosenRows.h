// The rows that came back for one token, in the order of its choices: where they lie and what they
// weigh.
#ifndef EPIGRAPH_CODEGEN_CUDA_CHOSENROWS_H
#define EPIGRAPH_CODEGEN_CUDA_CHOSENROWS_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

struct ChosenRows {
  Vals slots, weights;

  /// Of token `row`; `slots` and `weights` are operands of epi.unpermute.
  static ChosenRows load(KernelFrame &frame, const TensorView &slots, const TensorView &weights,
                         Val row);

  /// The weighted sum of what `load` gives of each row, in float32 and in the order of the choices.
  /// All is loaded before anything is added, so that the loads are under way at once.
  Vals sum(Emitter &e, llvm::function_ref<Vals(Val slot)> load) const;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_CHOSENROWS_H
