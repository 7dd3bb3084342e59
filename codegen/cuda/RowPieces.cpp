#include "codegen/cuda/RowPieces.h"

#include <numeric>

using namespace mlir;

namespace epigraph::cuda {

RowPieces RowPieces::of(int64_t bytes, ArrayRef<int64_t> steps, int64_t mostThreads,
                        int64_t leastThreads, int64_t mostWidth) {
  RowPieces pieces;
  pieces.width = std::gcd(mostWidth, bytes);
  for (int64_t step : steps)
    pieces.width = std::gcd(pieces.width, step);
  pieces.count = bytes / pieces.width;
  pieces.parts = llvm::divideCeil(pieces.count, mostThreads);
  const int64_t inPart = llvm::divideCeil(pieces.count, pieces.parts);
  pieces.threads = std::max<int64_t>(llvm::alignTo(inPart, 32), leastThreads);
  return pieces;
}

void RowPieces::forPiece(Emitter &e, Val part, llvm::function_ref<void(Val)> body) const {
  Val piece = parts == 1 ? e.threadId() : part * threads + e.threadId();
  if (count == parts * threads)
    return body(piece);
  e.ifThen(piece < count, [&] { body(piece); });
}

Type RowPieces::type(Emitter &e) const {
  if (width > 4)
    return e.vector(e.i32(), width / 4);
  return e.builder().getIntegerType(static_cast<unsigned>(width * 8));
}

Vals loadFloats(Emitter &e, Type element, Val address, int64_t count) {
  if (count == 1)
    return {e.toF32(e.load(element, address))};
  return e.elements(e.toF32(e.load(e.vector(element, count), address)));
}

void storeFloats(Emitter &e, ArrayRef<Val> values, Type element, Val address) {
  if (values.size() == 1)
    return e.store(e.fromF32(values[0], element), address);
  e.store(e.fromF32(e.pack(values), element), address);
}

void addRowLaunch(KernelAssembly &assembly, const RowPieces &pieces,
                  llvm::function_ref<void(KernelFrame &, Val, Val)> body) {
  FunctionSpec spec;
  spec.threads = pieces.threads;
  spec.rowTile = 1;
  spec.columnTiles = pieces.parts;
  assembly.addFunction(spec, [&](KernelFrame &frame) {
    Emitter &e = frame.e;
    e.allowNext();
    e.waitForPrevious();
    Val row = e.blockId() / pieces.parts;
    e.ifThen(row < frame.rows(), [&] { body(frame, row, e.blockId() % pieces.parts); });
  });
}

} // namespace epigraph::cuda
