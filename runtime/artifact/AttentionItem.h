// The parts that a step's attention is cut into for a device: the ABI between the executor, which
// makes them, and kernels, of which each block takes one after the other.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_ATTENTIONITEM_H
#define EPIGRAPH_RUNTIME_ARTIFACT_ATTENTIONITEM_H

#include <cstdint>

namespace epigraph {

/// Tokens of one tile item, at most: rows of one tile of an attention kernel's queries.
inline constexpr int32_t kAttentionTile = 128;

/// A part of a step's attention: tokens [token, token + tokens) of one sequence, the first of them
/// at `position`, attend to pages [firstPage, firstPage + pages) of it.
struct AttentionItem {
  int32_t token;
  int32_t tokens;
  int32_t sequence; ///< row of the page table
  int32_t position;
  int32_t firstPage; ///< as the page table's row counts them
  int32_t pages;
  int32_t partial;  ///< where its result goes among the partial results of the step
  int32_t partials; ///< items that its token's context is cut into; 1: it gives the result itself
};

static_assert(sizeof(AttentionItem) == 32);

/// The most items of one token each in a step of `tokens`, of which Plan.token_items asks for
/// `wanted`: a context is cut into pieces of equal length, rounded up, and its last is a short one.
constexpr uint64_t mostTokenItems(uint64_t wanted, uint64_t tokens) { return wanted + tokens; }

/// The most of them that give partial results: a context that is cut has at least one whole piece
/// for each short one.
constexpr uint64_t mostPartials(uint64_t wanted) { return 2 * wanted; }

/// The most tile items of a step.
constexpr uint64_t mostTileItems(uint64_t tokens, uint64_t sequences) {
  return tokens / kAttentionTile + sequences;
}

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_ATTENTIONITEM_H
