#include "runtime/exec/AttentionItems.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <vector>

#include "runtime/artifact/KernelAbi.h"

namespace epigraph {
namespace {

/// What an item costs beside its pages, and a cut step beside its items (their results are to be
/// merged), in the time of a page: as measured of DeepSeek-V3's decode steps on an H200.
constexpr int64_t kItemPages = 2, kMergePages = 2;

/// Items, for each that is computed at a time, of which one more or less at the end is little.
constexpr size_t kManyRounds = 4;

/// Pages of a context that ends with `position`.
int32_t pagesUpTo(int32_t position) { return position / static_cast<int32_t>(kPageTokens) + 1; }

/// The parts that a context of `pages` is cut into, so that none is longer than `longest`.
int64_t partsOf(int64_t pages, int64_t longest) { return (pages + longest - 1) / longest; }

int64_t countItems(const AttentionTokens &tokens, int64_t longest) {
  int64_t items = 0;
  for (const int32_t position : tokens.positions)
    items += partsOf(pagesUpTo(position), longest);
  return items;
}

/// The least length of items, up to `most` pages, that gives no more than `items` of them, which is
/// at least one for each token.
int64_t shortestItems(const AttentionTokens &tokens, int64_t items, int64_t most) {
  int64_t low = 1, high = most;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (countItems(tokens, middle) <= items)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/// When the last item is done, in pages, if `places` of them are computed at a time and the next
/// begins where one ends, as blocks of a launch do.
int64_t makespan(const AttentionTokens &tokens, int64_t longest, size_t places) {
  std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>> ends;
  int64_t last = 0;
  bool isCut = false;
  for (const int32_t position : tokens.positions) {
    const int64_t pages = pagesUpTo(position), parts = partsOf(pages, longest);
    isCut |= parts > 1;
    for (int64_t part = 0; part < parts; ++part) {
      int64_t end = pages * (part + 1) / parts - pages * part / parts + kItemPages;
      if (ends.size() == places) {
        end += ends.top();
        ends.pop();
      }
      ends.push(end);
      last = std::max(last, end);
    }
  }
  return last + (isCut ? kMergePages : 0);
}

/// The most pages of an item: whole contexts, as many items as are computed at a time, or as many
/// as there may be, whichever is done first.
int64_t pagesOfItem(const AttentionTokens &tokens, uint32_t wanted) {
  int64_t whole = 1, pages = 0;
  for (const int32_t position : tokens.positions) {
    whole = std::max<int64_t>(whole, pagesUpTo(position));
    pages += pagesUpTo(position);
  }
  const size_t count = tokens.positions.size(), places = std::max<uint32_t>(wanted, 1);
  // So many even out by themselves, but for those that are longer than a whole share.
  if (count > kManyRounds * places)
    return std::min(whole, partsOf(pages, static_cast<int64_t>(places)));
  int64_t best = whole, least = makespan(tokens, whole, places);
  for (const uint64_t items : {static_cast<uint64_t>(wanted), mostTokenItems(wanted, count)}) {
    if (items <= count)
      continue;
    const int64_t longest = shortestItems(tokens, static_cast<int64_t>(items), whole);
    const int64_t end = makespan(tokens, longest, places);
    if (end < least) {
      least = end;
      best = longest;
    }
  }
  return best;
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
    const int64_t parts = partsOf(pages, longest);
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
