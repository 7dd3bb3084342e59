// The calling convention between generated kernels and the runtime. Plain C layout: compiled code
// reads these structures at fixed offsets, and codegen/cpu mirrors them.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_KERNELABI_H
#define EPIGRAPH_RUNTIME_ARTIFACT_KERNELABI_H

#include <cstddef>
#include <cstdint>

namespace epigraph {

struct AttentionItem; // AttentionItem.h

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

/// Where DeviceStep::counts has each quantity that the host knows and that rows are counted in. Of
/// a rank's share of the tokens there is one for each axis: add shareCounter(axis).
enum RowCounter : int32_t {
  kCountOne,
  kCountTokens,
  kCountFirstHalf,
  kCountSecondHalf,
  kCountOutputs,
  kCountShare,
  kCountShareFirstHalf,
  kCountShareSecondHalf,
};
constexpr int32_t shareCounter(int32_t axis) { return 3 * axis; }
/// Two axes; and as many as keep what follows aligned.
inline constexpr int32_t kRowCounters = 12;

struct PeerTable;   // PeerTable.h
struct SamplingRow; // runtime/base/Sampling.h

/// The ragged batch of one step as device kernels see it, in the device's memory; pointers are
/// addresses of the device.
struct alignas(64) DeviceStep {
  const int32_t *positions;        ///< [tokens]
  const int32_t *sequence;         ///< [tokens]
  const int32_t *pageTable;        ///< [sequences][pageTableStride]
  const int32_t *outputRows;       ///< [outputs]
  const AttentionItem *tokenItems; ///< [tokenItemCount] of one token each, in order of tokens
  const AttentionItem *tileItems;  ///< [tileItemCount] of up to kAttentionTile tokens each
  const int32_t *tokenPartials;    ///< [tokens][2] first partial result of each token, and how many
  int32_t tokens;
  int32_t sequences;
  int32_t outputs;
  int32_t pageTableStride;
  int32_t tokenItemCount;
  int32_t tileItemCount;
  int32_t counts[kRowCounters];
  PeerTable *peers;            ///< null where no kernel exchanges rows with other ranks
  const SamplingRow *sampling; ///< [outputs] how the token after each of them is chosen
};

static_assert(offsetof(DeviceStep, tokens) == 56 && offsetof(DeviceStep, counts) == 80 &&
              offsetof(DeviceStep, peers) == 128 && offsetof(DeviceStep, sampling) == 136 &&
              sizeof(DeviceStep) == 192);

// A function of a device launch takes, in this order:
//   1. its tensor maps, 128 bytes each, by value;
//   2. a pointer for each argument of the plan's Launch;
//   3. const DeviceStep *step;
//   4. const int32_t *count, the quantity that the launch's rows are counted in: one of
//      DeviceStep::counts, or the received rows of an exchange;
//   5. int32_t factor: rows = *count * factor;
//   6. int32_t capacity: the most rows (DeviceRows.h); the distance between columns of column-major
//      matrices;
//   7. void *workspace, of Plan.workspace_bytes. Counters in it are left zero.
// Blocks are one-dimensional, and those beyond the rows or items of the step do nothing.

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_KERNELABI_H
