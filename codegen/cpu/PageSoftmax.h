// The softmax of attention, page by page (online softmax; Milakov and Gimelshein, 2018).
#ifndef EPIGRAPH_CODEGEN_CPU_PAGESOFTMAX_H
#define EPIGRAPH_CODEGEN_CPU_PAGESOFTMAX_H

#include "codegen/cpu/KernelEmitter.h"

namespace epigraph::cpu {

/// Turns the scores of a page's tokens, kPageTokens floats at `scores`, into weights relative to
/// the maximum so far. `isVisible` gives, for a vector of token indices (i32), which of them count;
/// the others get the weight 0, whatever their score. Updates the running `maximum` and `sum`
/// (scalars), and returns the factor that everything summed before must be multiplied by.
Value weighPage(KernelEmitter &e, Value scores, llvm::function_ref<Value(Value)> isVisible,
                Value &maximum, Value &sum);

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_PAGESOFTMAX_H
