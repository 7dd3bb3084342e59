// Copies of rows from global to shared memory by a group of threads, as tensor map copies cannot do
// them: rows of pages, rows that may not be there, rows at any place.
#ifndef EPIGRAPH_CODEGEN_CUDA_SHAREDROWS_H
#define EPIGRAPH_CODEGEN_CUDA_SHAREDROWS_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// The threads that copy together, and which of them this one is.
struct CopyThreads {
  Val thread;
  int64_t count; ///< a multiple of 32
};

/// `rows` rows of `bytes` bytes in global memory, `stride` apart.
struct GlobalRows {
  Val address;
  int64_t rows, bytes, stride;
  int64_t access = 16; ///< that may be moved at once: a power of two that divides all of them
};

/// Rows in shared memory that ldmatrix reads without bank conflicts: 16 bytes lie between them.
/// `bytes` is a multiple of 32.
constexpr int64_t paddedRowBytes(int64_t bytes) { return bytes + 16; }

/// Starts the copy of `from` to rows at `to`, `toStride` apart. Rows from `valid` (i32, may be
/// negative) on are zeroes. Copies with an access of 16 bytes are asynchronous (commitAsync);
/// others have been stored when this returns, for this thread.
void copyRows(Emitter &e, const CopyThreads &threads, const GlobalRows &from, Val to,
              int64_t toStride, Val valid);

/// Fetches `rows` into the second-level cache alone, whatever they hold by now.
void prefetchRows(Emitter &e, const CopyThreads &threads, const GlobalRows &rows);

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_SHAREDROWS_H
