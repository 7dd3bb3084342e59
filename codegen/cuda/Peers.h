// Memory that other ranks read and write, in kernels: words of the whole system's scope, and waits
// that end.
//
// A wait whose patience has ended reports itself to the host and tells all peers; from then on
// every wait of every rank ends at once, with what it waited for taken as absent. So kernels need
// no way out in the middle: they run to their end without meaning, and later ones too.
#ifndef EPIGRAPH_CODEGEN_CUDA_PEERS_H
#define EPIGRAPH_CODEGEN_CUDA_PEERS_H

#include "codegen/cuda/ExchangeLayout.h"
#include "codegen/cuda/KernelAssembly.h"
#include "dialects/ep/Ep.h"
#include "runtime/artifact/PeerTable.h"

namespace epigraph::cuda {

// Relaxed words of the system's scope, of i32 or i64.
Val loadSystem(mlir::Type type, Val address);
void storeSystem(Val value, Val address);
/// Fresh from memory, whatever this multiprocessor has cached: up to 16 bytes.
Val loadFresh(mlir::Type type, Val address);
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
  };
  Val size() const { return starts.back(); }
  Place find(Val index) const;
};

/// The peers of one exchange. To be made after waitForPrevious.
class Peers {
public:
  Peers(KernelFrame &frame, const ExchangeLayout &layout);

  const ExchangeLayout &layout;
  Val rank;   ///< i32: this one's number
  Val epoch;  ///< i32: of the exchange under way
  Val parity; ///< i32: of the epoch

  Val region(Val rank);
  Val ownRegion() { return own; }

  /// A word that says which epoch it belongs to: `low` in its lower half.
  void storeWord(Val low, Val address);
  /// Waits for such a word. Its lower half, or `absent`.
  Val waitForWord(PeerWait wait, Val peer, Val token, Val address, Val absent);
  /// Waits for the flag of this epoch, with acquire order.
  void waitForFlag(PeerWait wait, Val peer, Val token, Val address);
  /// The tokens of all ranks, once they have said how many they send. To be called by all threads
  /// of a block, of which a few wait; `shared` is room for kSharedBytes.
  TokenLine waitForTokens(Val shared);
  /// Those of the other ranks, for which an earlier kernel of the exchange has waited.
  TokenLine tokensOfOthers();
  static constexpr int64_t kSharedBytes = kMostPeers * 4;

  /// To be called by all threads at their end, in an exchange's last kernel, by every block: its
  /// last one ends the epoch.
  void finish();

private:
  Val tableField(size_t offset) { return e.offset(table, static_cast<int64_t>(offset)); }
  /// Loads until isReady(value), or until it is time to give up; the last value.
  Val poll(PeerWait wait, Val peer, Val token, llvm::function_ref<Val()> load,
           llvm::function_ref<Val(Val)> isReady);
  /// Whether to give up a wait that started at clock `start`.
  Val givesUp(PeerWait wait, Val peer, Val token, Val start);
  void report(PeerWait wait, Val peer, Val token);

  Emitter &e;
  Val table, own;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_PEERS_H
