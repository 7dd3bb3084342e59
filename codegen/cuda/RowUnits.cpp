#include "codegen/cuda/RowUnits.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace epigraph::cuda {

RowUnits::RowUnits(int64_t units) : units(units) {
  if (units < kThreads)
    rowTile = kThreads / units;
  else
    columnTiles = llvm::divideCeil(units, kThreads);
}

FunctionSpec RowUnits::spec() const {
  FunctionSpec spec;
  spec.threads = kThreads;
  spec.rowTile = rowTile;
  spec.columnTiles = columnTiles;
  return spec;
}

void RowUnits::emit(KernelFrame &frame, llvm::function_ref<void(Val, Val)> body) const {
  Emitter &e = frame.e;
  e.allowNext();
  e.waitForPrevious();
  Val row, unit, hasUnit;
  if (columnTiles == 1) {
    row = e.blockId() * rowTile + e.threadId() / units;
    unit = e.threadId() % units;
    hasUnit = e.threadId() < rowTile * units;
  } else {
    row = e.blockId() / columnTiles;
    unit = e.blockId() % columnTiles * kThreads + e.threadId();
    hasUnit = unit < units;
  }
  e.ifThen(e.logicalAnd(hasUnit, row < frame.rows()), [&] { body(row, unit); });
}

int64_t alignmentOf(int64_t bytes) {
  return static_cast<int64_t>(llvm::MinAlign(static_cast<uint64_t>(bytes), 16));
}

int64_t accessBytes(const TensorView &view, int64_t columns) {
  const int64_t bytes = view.elementType.getIntOrFloatBitWidth() / 8;
  uint64_t all = static_cast<uint64_t>(view.offset | view.rowStride | columns);
  for (int64_t stride : ArrayRef(view.strides).drop_back())
    all |= static_cast<uint64_t>(stride);
  return alignmentOf(static_cast<int64_t>(all) * bytes);
}

void copyBytes(Emitter &e, Val from, Val to, int64_t bytes) {
  Type type = bytes > 4    ? e.vector(e.i32(), bytes / 4)
              : bytes == 4 ? e.i32()
              : bytes == 2 ? e.i16()
                           : e.i8();
  e.store(e.load(type, from), to);
}

} // namespace epigraph::cuda
