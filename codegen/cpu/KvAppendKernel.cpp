// Writes this step's entries into a cache: for each token its first part, then its second.
#include "codegen/cpu/KernelBuilders.h"
#include "codegen/cpu/PagedCache.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kTileRows = 8;

int64_t entryElements(Type cache) {
  return llvm::TypeSwitch<Type, int64_t>(cache).Case<epi::KvCacheType, epi::MlaCacheType>(
      [](auto type) { return type.getEntryElements(); });
}

Type elementTypeOf(Type cache) {
  return llvm::TypeSwitch<Type, Type>(cache).Case<epi::KvCacheType, epi::MlaCacheType>(
      [](auto type) { return type.getElementType(); });
}

/// Copies row `row` of `view` to `to`, where it is contiguous. Copies heads one by one unless they
/// are contiguous already.
void copyRow(KernelFrame &frame, const TensorView &view, Value row, Value to) {
  KernelEmitter &e = frame.e;
  const int64_t bytes = byteSize(view.elementType);
  Value from = frame.rowAddress(view, row);
  if (view.isContiguous())
    return e.copyBytes(from, to, view.elements() * bytes);
  const int64_t inner = view.shape.back() * bytes;
  e.forLoop(e.constant(0), e.constant(view.shape.front()), 1, [&](Value head) {
    e.copyBytes(e.element(from, head, view.strides.front() * bytes), e.element(to, head, inner),
                inner);
  });
}

LogicalResult checkCopies(KernelFrame &frame, epi::KvAppendOp op, const TensorView &view) {
  if (view.shape.empty() || view.strides.back() == 1 || view.shape.back() == 1)
    return success();
  return op.emitError("CPU kernel @")
         << frame.kernel.getSymName()
         << " needs entries whose last dimension is contiguous; copy them by a kernel of their own";
}

} // namespace

BuiltTiling buildKvAppend(KernelFrame &frame, epi::KvAppendOp op) {
  FailureOr<TensorView> first = frame.view(op, op.getFirst(), "first");
  FailureOr<TensorView> second = frame.view(op, op.getSecond(), "second");
  auto cache = dyn_cast<BlockArgument>(op.getCache());
  if (!cache)
    return op.emitError("the cache of CPU kernel @")
           << frame.kernel.getSymName() << " must be an argument";
  if (failed(first) || failed(second) || failed(checkCopies(frame, op, *first)) ||
      failed(checkCopies(frame, op, *second)))
    return failure();
  KernelEmitter &e = frame.e;
  const int64_t bytes = byteSize(elementTypeOf(cache.getType()));
  const PagedCache entries{frame.address(cache), entryElements(cache.getType()) * bytes};
  Value positions = frame.positions();
  const Tiling tiling{kTileRows, 1};
  frame.forTiles(tiling, [&](Value begin, Value end, Value) {
    e.forLoop(begin, end, 1, [&](Value row) {
      Value position = e.loadI32(e.element(positions, row, sizeof(int32_t)));
      Value entry = entries.entry(e, frame.pageTableOf(row), position);
      copyRow(frame, *first, row, entry);
      copyRow(frame, *second, row, e.advance(entry, first->elements() * bytes));
    });
  });
  return tiling;
}

} // namespace epigraph::cpu
