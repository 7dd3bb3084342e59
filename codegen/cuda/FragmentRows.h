// Rows of the fragments of matrix products, for stores of 16 bytes.
#ifndef EPIGRAPH_CODEGEN_CUDA_FRAGMENTROWS_H
#define EPIGRAPH_CODEGEN_CUDA_FRAGMENTROWS_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// Gives sums (WarpProducts.h says which elements a thread has), rounded to bf16, in pieces of 8
/// neighbouring columns, of which there is a multiple of 4: `store` gets which of the thread's two
/// rows a piece is in, its place in the row (i32) and its elements, as 4 of i32. All lanes must
/// take part; a lane stores one of the 4 pieces that its quad has elements of.
void forRowPieces(llvm::ArrayRef<Val> sums,
                  llvm::function_ref<void(size_t row, Val piece, Val words)> store);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_FRAGMENTROWS_H
