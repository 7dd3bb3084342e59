#include "codegen/cuda/WarpProducts.h"

#include "codegen/cuda/Hopper.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// The address that this lane gives to ldmatrix.x4 for the 16 x 16 elements at the start of `tile`:
/// the matrices are in order of rows first. For left operands, and for right ones whose K lies
/// along rows.
Val byRows(Emitter &e, SharedTile tile) {
  return e.offset(tile.address, (e.lane() % 16) * tile.stride + (e.lane() / 16) * 16);
}

/// The same in order of columns first: for right operands whose K lies along columns.
Val byColumns(Emitter &e, SharedTile tile) {
  Val row = e.lane() % 8 + (e.lane() / 16) * 8;
  return e.offset(tile.address, row * tile.stride + ((e.lane() / 8) % 2) * 16);
}

/// Adds products of `left` and the two right operands that loadMatrices gave to 16 columns of
/// `sums` from `column` on.
void multiplyPair(Vals &sums, int64_t column, ArrayRef<Val> left, ArrayRef<Val> right) {
  for (size_t i = 0; i < 2; ++i) {
    auto acc = MutableArrayRef<Val>(sums).slice(static_cast<size_t>(column / 2) + i * 4, 4);
    llvm::copy(multiplyWarp(acc, left, right.slice(i * 2, 2)), acc.begin());
  }
}

int64_t columnsOf(const Vals &sums) { return static_cast<int64_t>(sums.size()) * 2; }

} // namespace

void multiplyTiles(Emitter &e, Vals &sums, SharedTile left, SharedTile right, int64_t depth) {
  Val leftAt = byRows(e, left), rightAt = byColumns(e, right);
  for (int64_t k = 0; k < depth; k += 16) {
    Vals operand = loadMatrices(e.offset(leftAt, k * 2), /*transposed=*/false);
    for (int64_t column = 0; column < columnsOf(sums); column += 16) {
      Val at = e.offset(rightAt, column * right.stride + k * 2);
      multiplyPair(sums, column, operand, loadMatrices(at, /*transposed=*/false));
    }
  }
}

Vals leftOperand(ArrayRef<Val> sums) {
  Emitter &e = sums[0].owner();
  Vals operand;
  // Rows first, then the next 8 columns: the order of the sums' registers.
  for (size_t i = 0; i < sums.size(); i += 2)
    operand.push_back(e.packHalves(sums[i], sums[i + 1], e.bf16()));
  return operand;
}

void multiplyByRows(Emitter &e, Vals &sums, ArrayRef<Val> left, SharedTile right) {
  Val rightAt = byRows(e, right);
  for (size_t first = 0; first < left.size(); first += 4) { // A step of 16 along K.
    const auto row = static_cast<int64_t>(first * 4);
    for (int64_t column = 0; column < columnsOf(sums); column += 16) {
      Val at = e.offset(rightAt, row * right.stride + column * 2);
      multiplyPair(sums, column, left.slice(first, 4), loadMatrices(at, /*transposed=*/true));
    }
  }
}

Val columnOfSum(Emitter &e, int64_t element) {
  return (e.lane() % 4) * 2 + (element / 4 * 8 + element % 2);
}

} // namespace epigraph::cuda
