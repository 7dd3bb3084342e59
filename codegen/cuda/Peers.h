// Memory that other ranks read and write, in kernels: words of the whole system's scope, and waits
// that end.
//
// A wait whose patience has ended reports itself to the host and tells all peers; from then on
// every wait of every rank ends soon, with what it waited for taken as absent. So kernels need no
// way out in the middle: they run to their end without meaning, and later ones too.
//
// The halves that send let the next kernel start only once they have waited for the kernel before
// them. So when any later kernel starts, whatever comes between, all that was launched before the
// send has ended and written: the exchange before, and what both halves read. The halves that
// receive therefore read, and wait for other ranks, while the kernel before them still runs; past
// the first-level cache, which may be older than that. They wait for it before they write results,
// since it may read what the memory held before. They let the next kernel start at once. That keeps
// nobody from sending: when a receiving half starts, all blocks of the sends before it are running
// or done.
#ifndef EPIGRAPH_CODEGEN_CUDA_PEERS_H
#define EPIGRAPH_CODEGEN_CUDA_PEERS_H

#include "codegen/cuda/ExchangeLayout.h"
#include "codegen/cuda/RowPieces.h"
#include "dialects/ep/Ep.h"
#include "runtime/artifact/PeerTable.h"

namespace epigraph::cuda {

// Relaxed words of the system's scope, of i32 or i64.
Val loadSystem(mlir::Type type, Val address);
void storeSystem(Val value, Val address);
/// Fresh from memory, whatever this multiprocessor has cached: up to 16 bytes. With a condition
/// (i1), 0 where it does not hold.
Val loadFresh(mlir::Type type, Val address, Val condition = {});
/// What this thread has seen happen comes before what it stores from here on, for every rank.
void fenceSystem(Emitter &e);

/// The layout of the region for exchanges of rows of type `rows` by ids of type `ids`.
ExchangeLayout exchangeLayout(ep::PlacementAttr placement, int64_t capacity, mlir::Type ids,
                              mlir::Type rows);
/// Fails, with a diagnostic, if kernels cannot exchange rows under `placement`.
mlir::LogicalResult verifyPeers(mlir::Operation *op, ep::PlacementAttr placement);

/// The tokens of all ranks in one line, rank after rank.
struct TokenLine {
  Vals starts; ///< of each rank's tokens, then the number of all
  struct Place {
    Val source, token;
    Val tokens; ///< of the source
  };
  Val size() const { return starts.back(); }
  /// Without those of `rank`.
  TokenLine without(Val rank) const;
  Place find(Val index) const;
};

/// The peers of one exchange. To be made before or after waitForPrevious.
class Peers {
public:
  Peers(KernelFrame &frame, const ExchangeLayout &layout);

  const ExchangeLayout &layout;
  Val rank;   ///< i32: this one's number
  Val epoch;  ///< i32: of the exchange under way
  Val parity; ///< i32: of the epoch

  // One of these comes first. No kernel reads the word that it may run beside a change of.

  /// The epoch after the last that has finished. In an exchange's first kernel only after
  /// waitForPrevious; not in its last.
  void beginEpoch();
  /// The epoch that the dispatch has recorded, for the exchange's last kernel.
  void resumeEpoch();
  /// To be called by one thread of the dispatch's last kernel, after waitForPrevious.
  void recordEpoch();
  /// To be called by one thread of the exchange's last kernel, after waitForPrevious.
  void endEpoch();

  Val region(Val rank);
  Val ownRegion() { return own; }

  /// A word that says which epoch it belongs to: `low` in its lower half.
  void storeWord(Val low, Val address);
  /// Such a word, which may be of another epoch.
  Val loadWord(Val address) { return loadSystem(e.i64(), address); }
  /// Waits for such a word, unless `first` is it already. Its lower half, or `absent`.
  Val waitForWord(PeerWait wait, Val peer, Val token, Val address, Val absent, Val first = {});
  /// Waits for the flag of this epoch, with acquire order.
  void waitForFlag(PeerWait wait, Val peer, Val token, Val address);
  /// Whether the rows and sums of a rank with so many tokens go as words.
  Val areWords(Val tokens) { return tokens <= layout.few(); }
  /// Stores `moved`, a piece of a row, as words of the row at `row`.
  void storePiece(const RowPieces &pieces, Val moved, Val piece, Val row);
  /// Waits for the words of a piece, of the row of a token.
  Val waitForPiece(PeerWait wait, TokenLine::Place token, const RowPieces &pieces, Val piece,
                   Val row);
  /// The tokens of all ranks, once they have said how many they send. To be called by all threads
  /// of a block, of which a few wait; `shared` is room for kSharedBytes.
  TokenLine waitForTokens(Val shared);
  static constexpr int64_t kSharedBytes = kMostPeers * 4;

private:
  using Load = llvm::function_ref<Vals()>;
  using Check = llvm::function_ref<Val(llvm::ArrayRef<Val>)>;

  Val tableField(size_t offset) { return e.offset(table, static_cast<int64_t>(offset)); }
  void setEpoch(Val value);
  /// `low` beside the epoch, in 64 bits.
  Val tagged(Val low);
  Val isTagged(Val word) { return e.toI32(word >> 32) == epoch; }
  /// Where the words of a piece lie: one address for each 16 bytes, or for its only word.
  Vals wordAddresses(const RowPieces &pieces, Val piece, Val row);
  /// Loads until isReady(values), or until it is time to give up; the last values. `first` are
  /// those of a load that has been made.
  Vals poll(PeerWait wait, Val peer, Val token, Vals first, Load load, Check isReady);
  /// Whether to give up a wait of which the clock said `start` when it was first looked at.
  Val givesUp(PeerWait wait, Val peer, Val token, Val start);
  void report(PeerWait wait, Val peer, Val token);

  Emitter &e;
  Val table, own;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_PEERS_H
