// The last tile item of a sequence sees its whole context, so a prefix sum over those items' pages
// says where each sequence's pages begin. Then a warp for each of them copies from the page table.
#include "codegen/cuda/ContextPages.h"

#include "codegen/cuda/AttentionItems.h"
#include "codegen/cuda/BlockScan.h"
#include "codegen/cuda/PagedCache.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kThreads = 1024;
constexpr int64_t kIntBytes = sizeof(int32_t);

/// Whether `item`, the `index`-th of `count`, is the last of its sequence.
Val isLastOfSequence(KernelFrame &frame, const ItemValues &item, Val index, Val count) {
  Emitter &e = frame.e;
  Val next = e.minimum(index + 1, count - 1);
  Val nextSequence = loadItem(frame, kTileItems, next).sequence;
  return e.logicalOr(index + 1 == count, nextSequence != item.sequence);
}

} // namespace

FailureOr<ContextPages> ContextPages::ofLimits(KernelAssembly &assembly, Operation *op,
                                               int64_t counters) {
  auto module = assembly.kernel->getParentOfType<ModuleOp>();
  auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  if (!limits)
    return op->emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs " << exec::kLimitsAttrName
           << " on the module, which bounds the memory that it takes; add it";
  const auto items = mostTileItems(static_cast<uint64_t>(limits.getBatchTokens()),
                                   static_cast<uint64_t>(limits.getSequences()));
  const int64_t pages =
      limits.getSequences() * llvm::divideCeil(limits.getMaxContext(), kPageTokens);
  return ContextPages(static_cast<int64_t>(items), pages, counters);
}

int64_t ContextPages::bytes() const {
  return llvm::alignTo((1 + counters + items + pages) * kIntBytes, 256);
}

// In this order: the count, the counters, the first pages of items, the pages.

Val ContextPages::count(KernelFrame &frame) const { return frame.workspace(); }

Val ContextPages::counter(KernelFrame &frame, Val index) const {
  return frame.e.at(frame.e.offset(frame.workspace(), kIntBytes), index, kIntBytes);
}

Val ContextPages::firstPage(KernelFrame &frame, Val item) const {
  return frame.e.at(frame.e.offset(frame.workspace(), (1 + counters) * kIntBytes), item, kIntBytes);
}

Val ContextPages::physicalPage(KernelFrame &frame, Val index) const {
  Val list = frame.e.offset(frame.workspace(), (1 + counters + items) * kIntBytes);
  return frame.e.at(list, index, kIntBytes);
}

void ContextPages::placeItems(KernelFrame &frame) const {
  Emitter &e = frame.e;
  Val count = itemCount(frame, kTileItems);
  auto pagesOf = [&](Val index) {
    Val safe = e.minimum(index, count - 1);
    ItemValues item = loadItem(frame, kTileItems, safe);
    Val isLast = isLastOfSequence(frame, item, safe, count);
    return e.select(e.logicalAnd(index < count, isLast), item.pages, e.i32(0));
  };
  Vals total = e.forLoop(
      e.i32(0), count, e.i32(kThreads), {e.i32(0)}, [&](Val start, ArrayRef<Val> carried) -> Vals {
        Val sum = scanOverBlock(
            e, kThreads, kThreads, e.sharedMemory(),
            [&](Val index) { return pagesOf(start + index); },
            [&](Val index, Val, Val before) {
              e.ifThen(start + index < count,
                       [&] { e.store(carried[0] + before, firstPage(frame, start + index)); });
            });
        e.syncThreads();
        return {carried[0] + sum};
      });
  e.ifThen(e.threadId() == 0, [&] { e.store(total[0], this->count(frame)); });
  e.forEach(e.threadId(), e.i32(counters), e.i32(kThreads),
            [&](Val index) { e.store(e.i32(0), counter(frame, index)); });
}

void ContextPages::listPages(KernelFrame &frame) const {
  Emitter &e = frame.e;
  Val count = itemCount(frame, kTileItems);
  e.forEach(e.warp(), count, e.i32(kThreads / 32), [&](Val index) {
    ItemValues item = loadItem(frame, kTileItems, index);
    e.ifThen(isLastOfSequence(frame, item, index, count), [&] {
      Val first = e.load(e.i32(), firstPage(frame, index));
      Val table = pageTableOf(frame, item.sequence);
      e.forEach(e.lane(), item.pages, e.i32(32), [&](Val page) {
        e.store(cuda::physicalPage(e, table, page), physicalPage(frame, first + page));
      });
    });
  });
}

void ContextPages::addLaunch(KernelAssembly &assembly) const {
  FunctionSpec spec;
  spec.suffix = "pages";
  spec.threads = kThreads;
  spec.sharedBytes = kScanScratchBytes;
  spec.rowTile = 0;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    e.waitForPrevious();
    placeItems(frame);
    e.syncThreads(); // The block sees where its items' pages begin.
    listPages(frame);
  });
}

} // namespace epigraph::cuda
