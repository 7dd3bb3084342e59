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

/// Rows and sums travel in one of two forms. Those of a rank with many tokens go as they are, and a
/// flag follows them. Those of a rank with few tokens go as words: 4 bytes at a time, each beside
/// the epoch that it belongs to, so that neither a fence nor a flag keeps them waiting, for twice
/// the bytes. Which it is, all ranks know from the header of the tokens' rank.
///
/// The region of rank r, in order: a word that is not 0 when r should give up; the headers, the ids
/// and weights of tokens, and flags of slots, of each source rank, for both parities; flags of
/// sums, sums, and sums as words; slots, and slots as words, for both parities. A combine does not
/// know the size of slots, which come last. What is for words never holds anything else: bytes of a
/// row could pass for an epoch.
struct ExchangeLayout {
  int64_t ranks = 0;    ///< along the axis of the exchange
  int64_t capacity = 0; ///< tokens that one rank sends, at most
  int64_t topK = 0;
  int64_t hidden = 0;
  int64_t rowBytes = 0;   ///< of a token's row on its way out
  int64_t scaleBytes = 0; ///< of the row's scales; 0 where it has none

  /// Rows and sums of ranks with up to so many tokens go as words.
  int64_t few() const { return std::min(capacity, kFew); }
  /// Words of 8 bytes with two ids of 16 bits each, and the epoch.
  int64_t idWords() const { return (topK + 1) / 2; }
  /// In a slot: the row and its scales.
  int64_t scalesInSlot() const { return llvm::alignTo(rowBytes, kAccess); }
  int64_t slotBytes() const { return llvm::alignTo(scalesInSlot() + scaleBytes, kLine); }
  /// In a slot of words.
  int64_t scalesInSlotWords() const { return wordBytes(rowBytes); }
  /// Of the whole region.
  int64_t bytes() const { return slotWordsOffset() + 2 * ranks * few() * slotWordsBytes(); }
  friend bool operator==(const ExchangeLayout &, const ExchangeLayout &) = default;

  // Addresses in the region at `region`; `parity` is 0 or 1, `source` the rank that sends.

  /// How many tokens the source sends, and the epoch.
  Val header(Val region, Val parity, Val source) const;
  Val idWord(Val region, Val parity, Val source, Val token, Val word) const;
  /// The weight of a token's choice, and the epoch.
  Val weightWord(Val region, Val parity, Val source, Val token, Val choice) const;
  /// Is the epoch once the slot is there.
  Val slotFlag(Val region, Val parity, Val source, Val token) const;
  Val slot(Val region, Val parity, Val source, Val token) const;
  /// The slot of a rank with few tokens.
  Val slotWords(Val region, Val parity, Val source, Val token) const;
  /// Is the epoch once the part of the sum is there.
  Val sumFlag(Val region, Val source, Val token, Val part) const;
  Val sum(Val region, Val source, Val token) const;
  /// The sum for a rank with few tokens.
  Val sumWords(Val region, Val source, Val token) const;

  /// Pieces of a part of a sum, at most; a piece is of at least one element.
  static constexpr int64_t kPartPieces = 256;

private:
  static constexpr int64_t kAccess = 16, kLine = 128, kWordBytes = 8, kFlagBytes = 4;
  static constexpr int64_t kFew = 64;
  int64_t tokens() const { return ranks * capacity; }
  /// A row of so many bytes, as words: pieces of less than 4 bytes have a word each.
  static int64_t wordBytes(int64_t bytes);
  int64_t headersOffset() const { return kLine; }
  int64_t idsOffset() const {
    return headersOffset() + 2 * llvm::alignTo(ranks * kWordBytes, kLine);
  }
  int64_t weightsOffset() const { return idsOffset() + 2 * tokens() * idWords() * kWordBytes; }
  int64_t slotFlagsOffset() const { return weightsOffset() + 2 * tokens() * topK * kWordBytes; }
  int64_t sumFlagsOffset() const { return slotFlagsOffset() + 2 * tokens() * kFlagBytes; }
  int64_t sumFlags() const { return llvm::divideCeil(hidden, kPartPieces); }
  int64_t sumsOffset() const {
    return llvm::alignTo(sumFlagsOffset() + tokens() * sumFlags() * kFlagBytes, kLine);
  }
  /// Sums are of the type of the experts' results: at most 4 bytes, and a word each.
  int64_t sumBytes() const { return llvm::alignTo(hidden * 4, kLine); }
  int64_t sumWordsOffset() const { return sumsOffset() + tokens() * sumBytes(); }
  int64_t sumWordsBytes() const { return llvm::alignTo(hidden * kWordBytes, kLine); }
  int64_t slotsOffset() const { return sumWordsOffset() + ranks * few() * sumWordsBytes(); }
  int64_t slotWordsOffset() const { return slotsOffset() + 2 * tokens() * slotBytes(); }
  int64_t slotWordsBytes() const {
    return llvm::alignTo(scalesInSlotWords() + 2 * scaleBytes, kLine);
  }
  /// The number of a token of `source` among those of both parities.
  Val tokenIndex(Val parity, Val source, Val token) const;
};

} // namespace epigraph::cuda

#endif // EPIGRAPH_CODEGEN_CUDA_EXCHANGELAYOUT_H
