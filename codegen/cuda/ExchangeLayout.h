// Where things lie in a rank's exchange region. Everything that is sent belongs to a token of a
// rank, so that its place is known to all without a word about it.
//
// There are two copies, by the parity of the epoch, of what a dispatch brings: a rank that sends
// for epoch n + 2 has seen the header that each other rank wrote for n + 1, after it had finished
// with n. Of what a combine brings one is enough: a rank sends it for epoch n + 1 when it has seen
// the other's header for n + 1.
#ifndef EPIGRAPH_CODEGEN_CUDA_EXCHANGELAYOUT_H
#define EPIGRAPH_CODEGEN_CUDA_EXCHANGELAYOUT_H

#include "codegen/cuda/Emitter.h"

namespace epigraph::cuda {

/// The region of rank r, in order: a word that is not 0 when r should give up; the headers, the ids
/// of tokens, and flags of slots, of each source rank, for both parities; flags of sums, and sums;
/// slots for both parities. A combine does not know the size of slots, which come last.
struct ExchangeLayout {
  int64_t ranks = 0;    ///< along the axis of the exchange
  int64_t capacity = 0; ///< tokens that one rank sends, at most
  int64_t topK = 0;
  int64_t hidden = 0;
  int64_t rowBytes = 0;   ///< of a token's row on its way out
  int64_t scaleBytes = 0; ///< of the row's scales; 0 where it has none

  /// Words of 8 bytes with two ids of 16 bits each, and the epoch: they need no flag.
  int64_t idWords() const { return (topK + 1) / 2; }
  /// In a slot: the row, its scales, and the weights of the token's choices.
  int64_t scalesInSlot() const { return llvm::alignTo(rowBytes, kAccess); }
  int64_t weightsInSlot() const { return scalesInSlot() + llvm::alignTo(scaleBytes, kAccess); }
  int64_t slotBytes() const { return llvm::alignTo(weightsInSlot() + topK * 4, kLine); }
  /// Of the whole region.
  int64_t bytes() const { return slotsOffset() + 2 * tokens() * slotBytes(); }
  friend bool operator==(const ExchangeLayout &, const ExchangeLayout &) = default;

  // Addresses in the region at `region`; `parity` is 0 or 1, `source` the rank that sends.

  /// How many tokens the source sends, and the epoch.
  Val header(Val region, Val parity, Val source) const;
  Val idWord(Val region, Val parity, Val source, Val token, Val word) const;
  /// Is the epoch once the slot is there.
  Val slotFlag(Val region, Val parity, Val source, Val token) const;
  Val slot(Val region, Val parity, Val source, Val token) const;
  /// Is the epoch once the sum is there.
  Val sumFlag(Val region, Val source, Val token) const;
  Val sum(Val region, Val source, Val token) const;

private:
  static constexpr int64_t kAccess = 16, kLine = 128, kWordBytes = 8, kFlagBytes = 4;
  int64_t tokens() const { return ranks * capacity; }
  int64_t headersOffset() const { return kLine; }
  int64_t idsOffset() const {
    return headersOffset() + 2 * llvm::alignTo(ranks * kWordBytes, kLine);
  }
  int64_t slotFlagsOffset() const { return idsOffset() + 2 * tokens() * idWords() * kWordBytes; }
  int64_t sumFlagsOffset() const { return slotFlagsOffset() + 2 * tokens() * kFlagBytes; }
  int64_t sumsOffset() const {
    return llvm::alignTo(sumFlagsOffset() + tokens() * kFlagBytes, kLine);
  }
  /// Sums are of the type of the experts' results: at most 4 bytes.
  int64_t sumBytes() const { return llvm::alignTo(hidden * 4, kLine); }
  int64_t slotsOffset() const { return sumsOffset() + tokens() * sumBytes(); }
  /// The number of a token of `source` among those of both parities.
  Val tokenIndex(Val parity, Val source, Val token) const;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_EXCHANGELAYOUT_H
