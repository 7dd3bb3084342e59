// The four lanes of a quad have two columns each of every piece; they exchange them as the
// transposition of a 4 x 4 matrix does, first with the neighbour and then with the one after.
#include "codegen/cuda/FragmentRows.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

/// `first` and `second` are lists of as many words: lanes with bit `mask` keep `second` and give
/// `first` to lane ^ `mask`, the others the other way round. Returns what both have of the kept
/// list, the lower lane's before.
Vals exchange(Emitter &e, ArrayRef<Val> first, ArrayRef<Val> second, int64_t mask) {
  Val isUpper = (e.lane() & mask) != 0;
  Vals lower, upper;
  for (size_t i = 0; i < first.size(); ++i) {
    Val other = e.shuffleXor(e.select(isUpper, first[i], second[i]), mask);
    lower.push_back(e.select(isUpper, other, first[i]));
    upper.push_back(e.select(isUpper, second[i], other));
  }
  lower.append(upper.begin(), upper.end());
  return lower;
}

} // namespace

void forRowPieces(ArrayRef<Val> sums,
                  llvm::function_ref<void(size_t row, Val piece, Val words)> store) {
  Emitter &e = sums[0].owner();
  for (size_t first = 0; first < sums.size(); first += 16) // Four pieces, 4 elements each.
    for (size_t row = 0; row < 2; ++row) {
      Vals words;
      for (size_t i = first + 2 * row; i < first + 16; i += 4)
        words.push_back(e.packHalves(sums[i], sums[i + 1], e.bf16()));
      Vals even = exchange(e, words[0], words[1], 1), odd = exchange(e, words[2], words[3], 1);
      Val piece = e.lane() % 4 + static_cast<int64_t>(first / 4);
      store(row, piece, e.pack(exchange(e, even, odd, 2)));
    }
}

} // namespace epigraph::cuda
