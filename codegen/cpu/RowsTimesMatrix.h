// Products of a few rows with a matrix of floats that lies in scratch memory: what expanded
// attention is made of. (Projections have a micro kernel of their own, for packed weights.)
#ifndef EPIGRAPH_CODEGEN_CPU_ROWSTIMESMATRIX_H
#define EPIGRAPH_CODEGEN_CPU_ROWSTIMESMATRIX_H

#include "codegen/cpu/KernelEmitter.h"

namespace epigraph::cpu {

/// Rows `rowBytes` apart from the address `rows` on, of `depth` elements of `type`, and the matrix
/// [depth][columns] of float32 at `matrix`, that they are multiplied by.
struct RowFactor {
  Value rows;
  mlir::Type type;
  int64_t rowBytes;
  Value depth;
  Value matrix;
};

/// No group of rows is taller.
inline constexpr int64_t kTallestRowGroup = 6;

/// Calls `body(row, height)` for groups of rows in [first, last): as many of the tallest height
/// that registers hold as there are, then single ones.
void forRowGroups(KernelEmitter &e, Value first, Value last,
                  llvm::function_ref<void(Value row, int64_t height)> body);

/// For each of `height` rows and all columns: the sum over `factors`, in order, of row times
/// matrix, each summed in ascending order from what `begin` gives. The order does not depend on
/// the height. `begin(row, column, width)` is a vector; `end` takes the result.
void multiplyRows(KernelEmitter &e, int64_t height, llvm::ArrayRef<RowFactor> factors,
                  int64_t columns,
                  llvm::function_ref<Value(int64_t row, Value column, int64_t width)> begin,
                  llvm::function_ref<void(int64_t row, Value column, Value result)> end);

/// to[column][row] = from[row][column], as float32, for `rows` rows `rowBytes` apart of `columns`
/// elements of `type`; the rows of `to` are `toRowBytes` apart.
void transposeRows(KernelEmitter &e, Value from, int64_t rowBytes, mlir::Type type, Value rows,
                   int64_t columns, Value to, int64_t toRowBytes);

} // namespace epigraph::cpu

#endif // EPIGRAPH_CODEGEN_CPU_ROWSTIMESMATRIX_H
