// Addresses in a paged cache: entry by entry, in slots of pages (runtime/artifact/KernelAbi.h).
#ifndef EPIGRAPH_CODEGEN_CUDA_PAGEDCACHE_H
#define EPIGRAPH_CODEGEN_CUDA_PAGEDCACHE_H

#include "codegen/cuda/KernelAssembly.h"
#include "runtime/artifact/KernelAbi.h"

#include <cstddef>

#include "llvm/ADT/TypeSwitch.h"

namespace epigraph::cuda {

/// Elements of an entry of a cache of type `cache`.
inline int64_t entryElements(mlir::Type cache) {
  return llvm::TypeSwitch<mlir::Type, int64_t>(cache).Case<epi::KvCacheType, epi::MlaCacheType>(
      [](auto type) { return type.getEntryElements(); });
}

/// The address of the page table's row of sequence `sequence`.
inline Val pageTableOf(KernelFrame &frame, Val sequence) {
  Val stride = frame.stepInt(offsetof(DeviceStep, pageTableStride));
  return frame.e.at(frame.stepPointer(offsetof(DeviceStep, pageTable)),
                    frame.e.toI64(sequence) * frame.e.toI64(stride), sizeof(int32_t));
}

/// The physical page of page `page`, counted in the sequence whose page table is at `table`.
inline Val physicalPage(Emitter &e, Val table, Val page) {
  return e.load(e.i32(), e.at(table, page, sizeof(int32_t)));
}

/// How many pages of a sequence, from the first on, hold nothing that the step writes, one of whose
/// tokens in it is at `position`: as many as if all tokens of the step were the sequence's. They
/// may be read before waitForPrevious.
inline Val oldPages(KernelFrame &frame, Val position) {
  Emitter &e = frame.e;
  Val newest = frame.stepInt(offsetof(DeviceStep, tokens));
  return e.maximum(position + 1 - newest, e.i32(0)) / kPageTokens;
}

/// Token `row`'s position in its sequence.
inline Val positionOfToken(KernelFrame &frame, Val row) {
  Val positions = frame.stepPointer(offsetof(DeviceStep, positions));
  return frame.e.load(frame.e.i32(), frame.e.at(positions, row, sizeof(int32_t)));
}

/// The sequence of token `row`: its row of the page table.
inline Val sequenceOfToken(KernelFrame &frame, Val row) {
  Val sequences = frame.stepPointer(offsetof(DeviceStep, sequence));
  return frame.e.load(frame.e.i32(), frame.e.at(sequences, row, sizeof(int32_t)));
}

/// Entries (i64) before that of token `row`, which is at `position`, in any cache.
inline Val slotOfToken(KernelFrame &frame, Val row, Val position) {
  Emitter &e = frame.e;
  Val table = pageTableOf(frame, sequenceOfToken(frame, row));
  Val page = physicalPage(e, table, position / kPageTokens);
  return e.toI64(page) * kPageTokens + e.toI64(position % kPageTokens);
}

/// The address, in the cache at `base` with entries of `entryBytes`, of the entry of token `row`.
inline Val entryOfToken(KernelFrame &frame, Val base, int64_t entryBytes, Val row) {
  return frame.e.at(base, slotOfToken(frame, row, positionOfToken(frame, row)), entryBytes);
}

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_PAGEDCACHE_H
