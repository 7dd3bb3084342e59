// Addresses in a paged cache: entry by entry, in slots of pages (runtime/artifact/KernelAbi.h).
#ifndef EPIGRAPH_CODEGEN_CPU_PAGEDCACHE_H
#define EPIGRAPH_CODEGEN_CPU_PAGEDCACHE_H

#include "codegen/cpu/KernelFrame.h"
#include "runtime/artifact/KernelAbi.h"

namespace epigraph::cpu {

/// A cache of entries of `entryBytes` bytes.
struct PagedCache {
  Value base;
  int64_t entryBytes;

  /// The address of the first entry of page `page` (counted in the sequence) of the sequence whose
  /// page table is at `table`.
  Value page(KernelEmitter &e, Value table, Value page) const {
    Value physical = e.loadI32(e.element(table, page, sizeof(int32_t)));
    return e.element(base, physical, kPageTokens * entryBytes);
  }

  /// The address of the entry at position `position`.
  Value entry(KernelEmitter &e, Value table, Value position) const {
    return e.element(page(e, table, e.divide(position, kPageTokens)),
                     e.remainder(position, kPageTokens), entryBytes);
  }
};

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_PAGEDCACHE_H
