// The items that a step's attention is cut into, as kernels read them
// (runtime/artifact/KernelAbi.h).
#ifndef EPIGRAPH_CODEGEN_CUDA_ATTENTIONITEMS_H
#define EPIGRAPH_CODEGEN_CUDA_ATTENTIONITEMS_H

#include "codegen/cuda/KernelAssembly.h"
#include "runtime/artifact/AttentionItem.h"
#include "runtime/artifact/KernelAbi.h"

#include <cstddef>

namespace epigraph::cuda {

/// An AttentionItem in registers.
struct ItemValues {
  Val token, tokens, sequence, position, firstPage, pages, partial, partials;
};

/// A list of items of the step: tokenItems or tileItems.
struct ItemList {
  size_t items; ///< offset in DeviceStep of the list
  size_t count; ///< of its length
};
inline constexpr ItemList kTokenItems{offsetof(DeviceStep, tokenItems),
                                      offsetof(DeviceStep, tokenItemCount)};
inline constexpr ItemList kTileItems{offsetof(DeviceStep, tileItems),
                                     offsetof(DeviceStep, tileItemCount)};

/// How many items `list` has.
inline Val itemCount(KernelFrame &frame, ItemList list) {
  return frame.stepInt(static_cast<int64_t>(list.count));
}

/// waitForPrevious of the blocks that have work: the others make room for what comes next. The
/// first waits in any case, since the next kernel waits for this one alone.
inline void waitIfHasWork(Emitter &e, Val hasWork) {
  e.ifThen(e.logicalOr(hasWork, e.blockId() == 0), [&] { e.waitForPrevious(); });
}

/// The same where blocks that have work wait later, in what `body` emits for them.
inline void ifHasWork(Emitter &e, Val hasWork, llvm::function_ref<void()> body) {
  e.ifElse(hasWork, body, [&] { e.ifThen(e.blockId() == 0, [&] { e.waitForPrevious(); }); });
}

inline ItemValues loadItem(KernelFrame &frame, ItemList list, Val index) {
  Emitter &e = frame.e;
  Val address =
      e.at(frame.stepPointer(static_cast<int64_t>(list.items)), index, sizeof(AttentionItem));
  mlir::Type half = e.vector(e.i32(), 4);
  Vals first = e.elements(e.load(half, address));
  Vals second = e.elements(e.load(half, e.offset(address, sizeof(AttentionItem) / 2)));
  return {first[0], first[1], first[2], first[3], second[0], second[1], second[2], second[3]};
}

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_ATTENTIONITEMS_H
