// Products of a warp with operands in shared memory: 16 rows of bf16, summed in float32.
//
// The sums of 8 columns are 4 registers, as mma.m16n8k16 has them: element 4 j + 2 h + i is row
// lane / 4 + 8 h and column 8 j + 2 (lane % 4) + i.
#ifndef EPIGRAPH_CODEGEN_CUDA_WARPPRODUCTS_H
#define EPIGRAPH_CODEGEN_CUDA_WARPPRODUCTS_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// Rows in shared memory, `stride` bytes apart, of which ldmatrix reads 16-byte pieces: without
/// bank conflicts if the stride is an odd multiple of 16 (paddedRowBytes).
struct SharedTile {
  Val address;
  int64_t stride;

  SharedTile at(int64_t row, int64_t byte) const {
    return {address.owner().offset(address, row * stride + byte), stride};
  }
};

/// sums (16 x columns) += left (16 x depth) right^T (columns x depth); multiples of 16.
void multiplyTiles(Emitter &e, Vals &sums, SharedTile left, SharedTile right, int64_t depth);

/// Sums rounded to bf16, as the left operand of a product: 4 of i32 for each 16 columns.
Vals leftOperand(llvm::ArrayRef<Val> sums);

/// sums (16 x columns) += left (16 x depth) right (depth x columns), with `left` in registers.
void multiplyByRows(Emitter &e, Vals &sums, llvm::ArrayRef<Val> left, SharedTile right);

/// The first of the two columns that this thread has of element `element` and the next.
Val columnOfSum(Emitter &e, int64_t element);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_WARPPRODUCTS_H
