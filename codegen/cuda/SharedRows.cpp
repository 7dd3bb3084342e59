#include "codegen/cuda/SharedRows.h"

#include "codegen/cuda/Hopper.h"
#include "codegen/cuda/RowPrefetch.h"

namespace epigraph::cuda {
namespace {

constexpr int64_t kPiece = 16;
/// Pieces of a line of global memory: neighbouring threads take them.
constexpr int64_t kPiecesOfLine = 8;

/// Rows whose length is a multiple of a line: each thread has the same column of every line.
void copyLines(Emitter &e, const CopyThreads &threads, const GlobalRows &from, Val to,
               int64_t toStride, Val valid) {
  const int64_t together = threads.count / kPiecesOfLine; // Rows at once.
  Val row = threads.thread / kPiecesOfLine;
  Val column = (threads.thread % kPiecesOfLine) * kPiece;
  Val source = e.offset(e.at(from.address, row, from.stride), column);
  Val target = e.offset(to, row * toStride + column);
  for (int64_t start = 0; start < from.rows; start += together)
    for (int64_t line = 0; line < from.bytes; line += kPiecesOfLine * kPiece)
      copyAsync16(e.offset(target, start * toStride + line),
                  e.offset(source, start * from.stride + line), row + start < valid);
}

/// The units of all rows, one after the other: `move` gets the row and the byte in it.
void forUnits(Emitter &e, const CopyThreads &threads, const GlobalRows &from,
              llvm::function_ref<void(Val row, Val byte)> move) {
  const int64_t unitsOfRow = from.bytes / from.access;
  e.forEach(threads.thread, e.i32(from.rows * unitsOfRow), e.i32(threads.count),
            [&](Val unit) { move(unit / unitsOfRow, (unit % unitsOfRow) * from.access); });
}

} // namespace

void copyRows(Emitter &e, const CopyThreads &threads, const GlobalRows &from, Val to,
              int64_t toStride, Val valid) {
  const int64_t together = threads.count / kPiecesOfLine;
  if (from.access == kPiece && from.bytes % (kPiecesOfLine * kPiece) == 0 &&
      from.rows % together == 0)
    return copyLines(e, threads, from, to, toStride, valid);
  forUnits(e, threads, from, [&](Val row, Val byte) {
    Val source = e.offset(e.at(from.address, row, from.stride), byte);
    Val target = e.offset(to, row * toStride + byte);
    if (from.access == kPiece)
      return copyAsync16(target, source, row < valid);
    mlir::Type type = e.builder().getIntegerType(static_cast<unsigned>(from.access * 8));
    Vals value = e.ifValues(
        row < valid, [&] { return Vals{e.load(type, source)}; },
        [&] { return Vals{e.constant(type, 0)}; });
    e.store(value[0], target);
  });
}

void prefetchRows(Emitter &e, const CopyThreads &threads, const GlobalRows &rows) {
  const int64_t linesOfRow = llvm::divideCeil(rows.bytes, kCacheLine);
  e.forEach(threads.thread, e.i32(rows.rows * linesOfRow), e.i32(threads.count), [&](Val unit) {
    Val row = e.at(rows.address, unit / linesOfRow, rows.stride);
    prefetchLine(e.offset(row, unit % linesOfRow * kCacheLine));
  });
}

} // namespace epigraph::cuda
