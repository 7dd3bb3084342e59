// The calling convention between generated kernels and the runtime. Plain C layout: compiled code
// reads these structures at fixed offsets, and codegen/cpu mirrors them.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_KERNELABI_H
#define EPIGRAPH_RUNTIME_ARTIFACT_KERNELABI_H

#include <cstddef>
#include <cstdint>

namespace epigraph {

/// Tokens of one page of a cache. A cache entry of sequence `s` at position `p` lies at slot
/// `pageTable[s * pageTableStride + p / kPageTokens] * kPageTokens + p % kPageTokens`.
inline constexpr int64_t kPageTokens = 64;

/// The ragged batch of one step as kernels see it. All arrays are owned by the runtime.
struct KernelStep {
  int64_t tokens;            ///< tokens in this rank's batch
  int64_t sequences;         ///< sequences they belong to
  int64_t outputs;           ///< rows whose logits are asked for
  const int32_t *positions;  ///< [tokens] position of each token in its sequence
  const int32_t *sequence;   ///< [tokens] row of the page table that each token belongs to
  const int32_t *pageTable;  ///< [sequences][pageTableStride] physical pages
  int64_t pageTableStride;   ///< pages a row of the page table has room for
  const int32_t *outputRows; ///< [outputs] token rows whose logits are asked for
};

static_assert(offsetof(KernelStep, tokens) == 0 && offsetof(KernelStep, sequences) == 8 &&
              offsetof(KernelStep, outputs) == 16 && offsetof(KernelStep, positions) == 24 &&
              offsetof(KernelStep, sequence) == 32 && offsetof(KernelStep, pageTable) == 40 &&
              offsetof(KernelStep, pageTableStride) == 48 &&
              offsetof(KernelStep, outputRows) == 56);

/// A kernel computes tiles [begin, end) of a launch. `args` are the launch's operands, then its
/// results: base addresses of inputs, buffers, weights and caches. `rows` is the launch's row
/// count. Tiles of one launch are independent: any thread may compute any of them, in any order.
using KernelFunction = void (*)(void *const *args, const KernelStep *step, int64_t rows,
                                int64_t begin, int64_t end);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_KERNELABI_H
