// How the elements of one row of an expression lie in memory. splits, reshapes and concats inside a
// row kernel move no data; this analysis divides a row into runs along which every input is
// contiguous.
#ifndef EPIGRAPH_CODEGEN_TARGET_ROWLAYOUT_H
#define EPIGRAPH_CODEGEN_TARGET_ROWLAYOUT_H

#include "codegen/target/TensorView.h"
#include "dialects/epi/Epi.h"
#include "llvm/ADT/DenseMap.h"

namespace epigraph {

/// A place in the row of a value, counted in elements: `start`, moving by `step` from one
/// repetition to the next.
struct Position {
  int64_t start = 0, step = 0;
};

/// `count` repetitions of `length` elements of a value's row, the first at `at.start`. Along each,
/// all inputs are contiguous and concats take one operand.
struct Run {
  Position at;
  int64_t length, count;
};

class RowLayout {
public:
  /// The runs that together are the row of `value`, in order. None crosses a multiple of `period`
  /// elements, if that is not 0.
  llvm::SmallVector<Run> runsOf(mlir::Value value, int64_t period = 0);
  /// Elements of one row of `value`.
  static int64_t elementsOf(mlir::Value value);

  /// The view that `value` is, or none if it is computed.
  const std::optional<TensorView> &viewOf(mlir::Value value);
  /// Elements from the row's address to position `position` of `view`.
  static int64_t offsetIn(const TensorView &view, int64_t position);
  /// The position in split's source of position `position` in its result `part`.
  static int64_t throughSplit(epi::SplitOp split, unsigned part, int64_t position);
  /// The operand of a concat that holds `position`, and the position in it.
  static std::pair<unsigned, int64_t> throughConcat(epi::ConcatOp concat, int64_t position);
  /// The element of a vector that meets position `position` of a row.
  static int64_t throughVector(mlir::Value vector, int64_t position);

private:
  /// What an element is made of: the operands that concats choose, and the offsets of all inputs.
  struct Trace {
    llvm::SmallVector<unsigned> choices;
    llvm::SmallVector<int64_t> offsets;
    /// What has been traced: computed values that are used twice are traced once.
    llvm::SmallVector<std::pair<mlir::Value, int64_t>> seen;
    /// Whether `next` is the same expression with all inputs `distance` elements further.
    bool continuesAs(const Trace &next, int64_t distance) const;
  };
  struct Piece {
    int64_t start, length;
    Trace trace;
  };

  void trace(mlir::Value value, int64_t position, Trace &result);
  llvm::SmallVector<Piece> piecesOf(mlir::Value value, int64_t period);
  static bool repeatsEvery(llvm::ArrayRef<Piece> pieces, size_t period);

  llvm::DenseMap<mlir::Value, std::optional<TensorView>> views;
};

} // namespace epigraph

#endif // EPIGRAPH_CODEGEN_TARGET_ROWLAYOUT_H
