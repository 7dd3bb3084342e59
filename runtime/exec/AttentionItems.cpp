#include "runtime/exec/AttentionItems.h"

#include <algorithm>

#include "runtime/artifact/KernelAbi.h"

namespace epigraph {
namespace {

/// Pages of a context that ends with `position`.
int32_t pagesUpTo(int32_t position) { return position / static_cast<int32_t>(kPageTokens) + 1; }

/// The most pages of one item.
int64_t pagesOfItem(const AttentionTokens &tokens, uint32_t wanted) {
  int64_t pages = 0;
  for (const int32_t position : tokens.positions)
    pages += pagesUpTo(position);
  return std::max<int64_t>(1, (pages + wanted - 1) / wanted);
}

} // namespace

bool hasOneTokenEach(const AttentionTokens &tokens) {
  return std::adjacent_find(tokens.sequence.begin(), tokens.sequence.end()) ==
         tokens.sequence.end();
}

size_t makeTokenItems(const AttentionTokens &tokens, uint32_t wanted,
                      absl::Span<AttentionItem> items, absl::Span<int32_t> partials) {
  const int64_t longest = pagesOfItem(tokens, wanted);
  size_t made = 0;
  int32_t partial = 0;
  for (size_t token = 0; token < tokens.positions.size(); ++token) {
    const int32_t position = tokens.positions[token];
    const int64_t pages = pagesUpTo(position);
    const int64_t parts = (pages + longest - 1) / longest;
    partials[2 * token] = partial;
    partials[2 * token + 1] = parts == 1 ? 0 : static_cast<int32_t>(parts);
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = pages * part / parts, end = pages * (part + 1) / parts;
      items[made++] = {static_cast<int32_t>(token), 1,
                       tokens.sequence[token],      position,
                       static_cast<int32_t>(first), static_cast<int32_t>(end - first),
                       parts == 1 ? 0 : partial++,  static_cast<int32_t>(parts)};
    }
  }
  return made;
}

size_t makeTileItems(const AttentionTokens &tokens, absl::Span<AttentionItem> items) {
  const size_t count = tokens.positions.size();
  size_t made = 0;
  for (size_t begin = 0; begin < count;) {
    size_t end = begin + 1;
    while (end < count && end - begin < kAttentionTile &&
           tokens.sequence[end] == tokens.sequence[begin])
      ++end;
    items[made++] = {static_cast<int32_t>(begin),
                     static_cast<int32_t>(end - begin),
                     tokens.sequence[begin],
                     tokens.positions[begin],
                     0,
                     pagesUpTo(tokens.positions[end - 1]),
                     0,
                     1};
    begin = end;
  }
  return made;
}

} // namespace epigraph
