// Writes this step's entries into a cache: for each token its first part, then its second. A thread
// moves up to 16 bytes.
#include "codegen/cuda/KernelBuilders.h"
#include "codegen/cuda/PagedCache.h"
#include "codegen/cuda/RowUnits.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// One part of an entry, and how it is moved.
struct Part {
  TensorView view;
  int64_t bytes; ///< that a unit moves

  int64_t totalBytes() const {
    return view.elements() * view.elementType.getIntOrFloatBitWidth() / 8;
  }
  int64_t units() const { return totalBytes() / bytes; }

  /// Where unit `unit` of row `row` comes from.
  Val source(KernelFrame &frame, Val row, Val unit) const {
    Val start = frame.rowAddress(view, row);
    if (view.isContiguous())
      return frame.e.at(start, unit, bytes);
    const int64_t elementBytes = view.elementType.getIntOrFloatBitWidth() / 8;
    const int64_t unitsOfHead = view.shape.back() * elementBytes / bytes;
    Val head = frame.e.at(start, unit / unitsOfHead, view.strides.front() * elementBytes);
    return frame.e.at(head, unit % unitsOfHead, bytes);
  }
};

FailureOr<Part> partOf(KernelAssembly &assembly, epi::KvAppendOp op, Value operand, StringRef name,
                       int64_t entryBytes, int64_t offsetBytes) {
  FailureOr<TensorView> view = assembly.view(op, operand, name);
  if (failed(view))
    return failure();
  if (view->strides.back() != 1 && view->shape.back() != 1)
    return op.emitError("CUDA kernel @")
           << assembly.kernel.getSymName() << " needs a '" << name
           << "' whose last dimension is contiguous; copy it by a kernel of its own";
  const int64_t access = accessBytes(*view, view->shape.back());
  return Part{*view, alignmentOf(access | entryBytes | offsetBytes)};
}

} // namespace

LogicalResult buildKvAppend(KernelAssembly &assembly, epi::KvAppendOp op) {
  auto cache = dyn_cast<BlockArgument>(op.getCache());
  if (!cache)
    return op.emitError("the cache of CUDA kernel @")
           << assembly.kernel.getSymName() << " must be an argument";
  auto element = cast<RankedTensorType>(op.getFirst().getType()).getElementType();
  const int64_t entryBytes = entryElements(cache.getType()) * element.getIntOrFloatBitWidth() / 8;
  FailureOr<Part> first = partOf(assembly, op, op.getFirst(), "first", entryBytes, 0);
  if (failed(first))
    return failure();
  FailureOr<Part> second =
      partOf(assembly, op, op.getSecond(), "second", entryBytes, first->totalBytes());
  if (failed(second))
    return failure();
  const RowUnits units(first->units() + second->units());
  assembly.beginVariant();
  assembly.addFunction(units.spec(), [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    units.emit(frame, [&](Val row, Val unit) {
      Val entry = entryOfToken(frame, frame.address(cache), entryBytes, row);
      auto move = [&](const Part &part, Val unitOfPart, int64_t offset) {
        Val to = e.at(e.offset(entry, offset), unitOfPart, part.bytes);
        copyBytes(e, part.source(frame, row, unitOfPart), to, part.bytes);
      };
      e.ifElse(
          unit < first->units(), [&] { move(*first, unit, 0); },
          [&] { move(*second, unit - first->units(), first->totalBytes()); });
    });
  });
  return success();
}

} // namespace epigraph::cuda
