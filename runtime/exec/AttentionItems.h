// How the attention of one step is cut into items of work for a device.
//
// Token items serve steps that decode: one token each, its context cut into items of about equal
// length, so that the last of them, computed some at a time, is done as soon as can be. Tile
// items serve prefill: as many consecutive tokens of a sequence as share its keys, which are read
// once for all of them.
#ifndef EPIGRAPH_RUNTIME_EXEC_ATTENTIONITEMS_H
#define EPIGRAPH_RUNTIME_EXEC_ATTENTIONITEMS_H

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "runtime/artifact/AttentionItem.h"

namespace epigraph {

/// The tokens of a step: tokens of one sequence are contiguous and in order of position.
struct AttentionTokens {
  absl::Span<const int32_t> positions;
  absl::Span<const int32_t> sequence; ///< row of the page table of each
};

/// Whether no sequence has more than one token.
bool hasOneTokenEach(const AttentionTokens &tokens);

/// Writes the token items of a step, of which `wanted` are computed at a time, in order of tokens,
/// and each token's first partial result and number of them, which is 0 for a token whose item
/// gives its result. `items` has room for mostTokenItems(wanted, tokens), `partials` for two
/// numbers of each token. Returns the number of items.
size_t makeTokenItems(const AttentionTokens &tokens, uint32_t wanted,
                      absl::Span<AttentionItem> items, absl::Span<int32_t> partials);

/// Writes the tile items of a step, in order of tokens. `items` has room for mostTileItems.
/// Returns their number.
size_t makeTileItems(const AttentionTokens &tokens, absl::Span<AttentionItem> items);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_ATTENTIONITEMS_H
