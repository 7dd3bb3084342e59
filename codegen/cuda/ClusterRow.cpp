#include "codegen/cuda/ClusterRow.h"

#include "codegen/cuda/Hopper.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace epigraph::cuda {
namespace {

constexpr int64_t kLanes = 32;
/// The least loads of a row that are worth a block of their own.
constexpr int64_t kLeastShare = 1024;

} // namespace

RowSharing::RowSharing(const RowPieces &row, int64_t mostBlocks, int64_t mostThreads)
    : pieces(row.count), blocks(mostBlocks) {
  while (blocks > 1 && pieces < blocks * kLeastShare)
    blocks /= 2;
  share = llvm::divideCeil(pieces, blocks);
  rounds = llvm::divideCeil(share, mostThreads * kLoads);
  threads = static_cast<int64_t>(llvm::alignTo(llvm::divideCeil(share, rounds * kLoads), kLanes));
}

ClusterRow::ClusterRow(KernelFrame &frame, const TensorView &x, const RowPieces &pieces,
                       const RowSharing &sharing, Val row)
    : frame(frame), e(frame.e), sharing(sharing), columns(x.elements()), elementType(x.elementType),
      pieceBytes(pieces.width), pieceElements(pieces.width / bytesOf(x.elementType)) {
  rank = sharing.blocks > 1 ? clusterRank(e) : e.i32(0);
  base = frame.rowAddress(x, row);
  begin = rank * sharing.share;
  last = e.minimum(begin + sharing.share, e.i32(sharing.pieces)) - 1;
}

Val ClusterRow::firstColumn() const {
  return e.minimum(begin + e.threadId(), last) * pieceElements;
}

Vals ClusterRow::fold(ArrayRef<Val> initial,
                      llvm::function_ref<Vals(const Element &, ArrayRef<Val>)> body) const {
  Val first = begin + e.threadId();
  auto round = [&](Val from, ArrayRef<Val> before) {
    // A thread without a piece left reads the last one of its block again.
    Vals asked, pieces, loaded;
    for (int64_t load = 0; load < RowSharing::kLoads; ++load) {
      asked.push_back(from + load * sharing.threads);
      pieces.push_back(e.minimum(asked.back(), last));
      loaded.append(
          loadFloats(e, elementType, e.at(base, pieces.back(), pieceBytes), pieceElements));
    }
    Vals carried(before);
    for (auto [i, value] : llvm::enumerate(loaded)) {
      const auto index = static_cast<int64_t>(i);
      const auto piece = static_cast<size_t>(index / pieceElements);
      carried =
          body({value, pieces[piece] * pieceElements + index % pieceElements, asked[piece] <= last},
               carried);
    }
    return carried;
  };
  if (sharing.rounds == 1)
    return round(first, initial);
  return e.forLoop(e.i32(0), e.i32(sharing.rounds), e.i32(1), initial,
                   [&](Val i, ArrayRef<Val> carried) {
                     return round(first + i * (RowSharing::kLoads * sharing.threads), carried);
                   });
}

void ClusterRow::meet() const { sharing.blocks > 1 ? clusterSync(e) : e.syncThreads(); }

Val ClusterRow::inBlock(Val pointer, Val block) const {
  return sharing.blocks > 1 ? inCluster(pointer, block) : pointer;
}

} // namespace epigraph::cuda
