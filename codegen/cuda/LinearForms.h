// Which forms a projection's kernel gets, by how many rows a launch may have: those that were
// fastest where such a projection was measured (LinearTimes.h), else those that a model of time
// expects to be (LinearTiles.h).
#ifndef EPIGRAPH_CODEGEN_CUDA_LINEARFORMS_H
#define EPIGRAPH_CODEGEN_CUDA_LINEARFORMS_H

#include "codegen/cuda/LinearTimes.h"

namespace epigraph::cuda {

struct FormChoice {
  int64_t mostRows; ///< of a launch; 0: any number
  LinearForm form;
};

/// Whether `form` can take the projection.
bool canHave(const LinearForm &form, const LinearProblem &problem, const LinearEpilogue &epilogue,
             const CudaTarget &target);

/// For rising numbers of rows, up to any number. Empty if no form can take the projection.
std::vector<FormChoice> chooseForms(const LinearProblem &problem, const LinearEpilogue &epilogue,
                                    const CudaTarget &target);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_LINEARFORMS_H
