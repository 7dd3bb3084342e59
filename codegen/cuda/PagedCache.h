// Addresses in a paged cache: entry by entry, in slots of pages (runtime/artifact/KernelAbi.h).
#ifndef EPIGRAPH_CODEGEN_CUDA_PAGEDCACHE_H
#define EPIGRAPH_CODEGEN_CUDA_PAGEDCACHE_H

#include "codegen/cuda/KernelAssembly.h"
#include "runtime/artifact/KernelAbi.h"

#include <cstddef>

namespace epigraph::cuda {

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

/// The address, in the cache at `base` with entries of `entryBytes`, of the entry of token `row`.
inline Val entryOfToken(KernelFrame &frame, Val base, int64_t entryBytes, Val row) {
  Emitter &e = frame.e;
  auto ofToken = [&](size_t field) {
    return e.load(e.i32(), e.at(frame.stepPointer(field), row, sizeof(int32_t)));
  };
  Val position = ofToken(offsetof(DeviceStep, positions));
  Val table = pageTableOf(frame, ofToken(offsetof(DeviceStep, sequence)));
  Val page = physicalPage(e, table, position / kPageTokens);
  Val slot = e.toI64(page) * kPageTokens + e.toI64(position % kPageTokens);
  return e.at(base, slot, entryBytes);
}

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_PAGEDCACHE_H
