// Rows that are moved or added up without a look at more than one place of a row at a time: a row
// is cut into pieces of one memory access, one for each thread of one block or of several.
#ifndef EPIGRAPH_CODEGEN_CUDA_ROWPIECES_H
#define EPIGRAPH_CODEGEN_CUDA_ROWPIECES_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

struct RowPieces {
  int64_t width = 16;  ///< bytes of a piece: 1, 2, 4, 8 or 16
  int64_t count = 0;   ///< pieces of a row
  int64_t threads = 0; ///< of a block; a multiple of 32
  int64_t parts = 0;   ///< blocks of a row

  /// Of rows of `bytes` bytes. Addresses of rows are multiples of each of `steps`, and pieces at
  /// most `mostWidth` wide; a block has at most `mostThreads` threads and at least `leastThreads`.
  static RowPieces of(int64_t bytes, llvm::ArrayRef<int64_t> steps, int64_t mostThreads = 128,
                      int64_t leastThreads = 32, int64_t mostWidth = 16);

  /// Emits `body` for the thread's piece in part `part` of the row, given the piece's index, if it
  /// has one.
  void forPiece(Emitter &e, Val part, llvm::function_ref<void(Val piece)> body) const;

  /// What a piece is moved as.
  mlir::Type type(Emitter &e) const;
};

/// The `count` elements from `address` on, as float32.
Vals loadFloats(Emitter &e, mlir::Type element, Val address, int64_t count);
/// float32 values, rounded to `element`, from `address` on.
void storeFloats(Emitter &e, llvm::ArrayRef<Val> values, mlir::Type element, Val address);

/// Adds a launch with one row for each group of `pieces.parts` blocks; `body` gets the block's row
/// and part, for rows that exist.
void addRowLaunch(KernelAssembly &assembly, const RowPieces &pieces,
                  llvm::function_ref<void(KernelFrame &, Val row, Val part)> body);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ROWPIECES_H
