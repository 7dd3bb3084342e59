// The pages of all contexts of a step, one after the other, for kernels that make something of each
// page once for all tiles that see it. A launch of one block lists them in the workspace.
#ifndef EPIGRAPH_CODEGEN_CUDA_CONTEXTPAGES_H
#define EPIGRAPH_CODEGEN_CUDA_CONTEXTPAGES_H

#include "codegen/cuda/KernelAssembly.h"

namespace epigraph::cuda {

/// The list, at the start of the workspace; its size is that of the largest batch.
class ContextPages {
public:
  /// From the module's limits; a diagnostic if it has none. `counters`: as many zeroes as the
  /// launch that follows wants to count with.
  static mlir::FailureOr<ContextPages> ofLimits(KernelAssembly &assembly, mlir::Operation *op,
                                                int64_t counters);

  /// The most pages that the contexts of a step can have together.
  int64_t mostPages() const { return pages; }
  /// Of the workspace; a multiple of 256.
  int64_t bytes() const;

  /// Adds the launch that makes the list.
  void addLaunch(KernelAssembly &assembly) const;

  // Addresses, of i32.
  Val count(KernelFrame &frame) const; ///< how many pages there are
  Val counter(KernelFrame &frame, Val index) const;
  /// Where the pages of tile item `item`'s sequence begin in the list.
  Val firstPage(KernelFrame &frame, Val item) const;
  /// The physical page of the list's page `index`.
  Val physicalPage(KernelFrame &frame, Val index) const;

private:
  ContextPages(int64_t items, int64_t pages, int64_t counters)
      : items(items), pages(pages), counters(counters) {}

  void placeItems(KernelFrame &frame) const;
  void listPages(KernelFrame &frame) const;

  int64_t items, pages; ///< at most
  int64_t counters;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_CONTEXTPAGES_H
