// Register tiles of `height` rows by up to four vectors of columns: one accumulator each, the
// matrix row loaded once for all rows of x, x broadcast. The height leaves room for both in 32
// (AVX-512) or 16 (AVX2) registers.
#include "codegen/cpu/RowsTimesMatrix.h"

using namespace mlir;

namespace epigraph::cpu {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
/// Vectors of columns in a register tile.
constexpr int64_t kTileVectors = 4;

int64_t tallest(const KernelEmitter &e) { return e.width() == 16 ? kTallestRowGroup : 3; }

/// The columns of one register tile: vectors of `widths`, one after the other from `column` on.
struct TileColumns {
  Value column;
  SmallVector<int64_t> widths;
};

using Begin = llvm::function_ref<Value(int64_t, Value, int64_t)>;
using End = llvm::function_ref<void(int64_t, Value, Value)>;

class RowTile {
public:
  RowTile(KernelEmitter &e, int64_t height, ArrayRef<RowFactor> factors, int64_t columns)
      : e(e), height(height), factors(factors), columns(columns) {}

  void emit(const TileColumns &tile, Begin begin, End end) {
    const size_t vectors = tile.widths.size();
    Values starts = startsOf(tile), sums;
    for (int64_t row = 0; row < height; ++row)
      for (size_t v = 0; v < vectors; ++v)
        sums.push_back(begin(row, starts[v], tile.widths[v]));
    for (const RowFactor &factor : factors)
      sums = e.forLoop(e.constant(0), factor.depth, 1, sums, [&](Value k, Values carried) {
        addStep(carried, factor, k, starts, tile.widths);
        return carried;
      });
    for (int64_t row = 0; row < height; ++row)
      for (size_t v = 0; v < vectors; ++v)
        end(row, starts[v], sums[static_cast<size_t>(row) * vectors + v]);
  }

private:
  Values startsOf(const TileColumns &tile) {
    Values starts;
    int64_t offset = 0;
    for (int64_t width : tile.widths) {
      starts.push_back(e.add(tile.column, offset));
      offset += width;
    }
    return starts;
  }

  void addStep(Values &sums, const RowFactor &factor, Value k, const Values &starts,
               ArrayRef<int64_t> widths) {
    const Type f32 = e.builder.getF32Type();
    const int64_t bytes = byteSize(factor.type);
    Value matrixRow = e.element(factor.matrix, k, columns * kFloatBytes);
    Values loaded;
    for (auto [start, width] : llvm::zip(starts, widths))
      loaded.push_back(e.loadFloats(e.element(matrixRow, start, kFloatBytes), f32, width));
    Value x = e.element(factor.rows, k, bytes);
    for (int64_t row = 0; row < height; ++row) {
      Value scalar = e.loadFloat(e.advance(x, row * factor.rowBytes), factor.type);
      for (size_t v = 0; v < widths.size(); ++v) {
        Value &sum = sums[static_cast<size_t>(row) * widths.size() + v];
        sum = e.fma(e.broadcast(scalar, widths[v]), loaded[v], sum);
      }
    }
  }

  KernelEmitter &e;
  int64_t height;
  ArrayRef<RowFactor> factors;
  int64_t columns;
};

} // namespace

void forRowGroups(KernelEmitter &e, Value first, Value last,
                  llvm::function_ref<void(Value, int64_t)> body) {
  const int64_t height = tallest(e);
  Value groups = e.divide(e.subtract(last, first), height);
  Value stop = e.add(first, e.multiply(groups, height));
  e.forLoop(first, stop, height, [&](Value row) { body(row, height); });
  e.forLoop(stop, last, 1, [&](Value row) { body(row, 1); });
}

void multiplyRows(KernelEmitter &e, int64_t height, ArrayRef<RowFactor> factors, int64_t columns,
                  Begin begin, End end) {
  RowTile tile(e, height, factors, columns);
  const int64_t tileColumns = kTileVectors * e.width(), tiled = columns / tileColumns * tileColumns;
  e.forLoop(e.constant(0), e.constant(tiled), tileColumns, [&](Value column) {
    tile.emit({column, SmallVector<int64_t>(kTileVectors, e.width())}, begin, end);
  });
  int64_t column = tiled;
  const int64_t vectors = (columns - tiled) / e.width();
  if (vectors > 0) {
    tile.emit({e.constant(column), SmallVector<int64_t>(vectors, e.width())}, begin, end);
    column += vectors * e.width();
  }
  for (int64_t part = e.width() / 2; part >= 1; part /= 2)
    if ((columns - column) & part) {
      tile.emit({e.constant(column), {part}}, begin, end);
      column += part;
    }
}

void transposeRows(KernelEmitter &e, Value from, int64_t rowBytes, Type type, Value rows,
                   int64_t columns, Value to, int64_t toRowBytes) {
  e.forLoop(e.constant(0), rows, 1, [&](Value row) {
    Value source = e.element(from, row, rowBytes), target = e.element(to, row, kFloatBytes);
    e.forColumns(columns, [&](Value column, int64_t width) {
      Value loaded = e.loadFloats(e.element(source, column, byteSize(type)), type, width);
      Value first = e.element(target, column, toRowBytes);
      for (int64_t i = 0; i < width; ++i)
        e.storeFloats(e.slice(loaded, i, 1), e.advance(first, i * toRowBytes),
                      e.builder.getF32Type());
    });
  });
}

} // namespace epigraph::cpu
