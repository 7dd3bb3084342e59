// A split lists the matches and what lies between them, then merges neighbours as its behavior
// says. Lists and rules follow `tokenizers`, empty matches included: they cut the text where they
// stand.
#include "runtime/text/PreTokenizer.h"

#include <algorithm>

#include "runtime/base/Status.h"
#include "runtime/text/Utf8.h"

namespace epigraph {
namespace {

struct Range {
  size_t begin;
  size_t end;
  bool isMatch;
};

/// Matches and the ranges between them; together they cover `text`.
absl::Status findRanges(RegexMatcher &matcher, std::string_view text, std::vector<Range> &ranges) {
  ranges.clear();
  size_t covered = 0;
  for (size_t offset = 0; offset <= text.size();) {
    EPIGRAPH_ASSIGN_OR_RETURN(std::optional<RegexMatcher::Match> match, matcher.find(text, offset));
    if (!match)
      break;
    if (match->begin > covered)
      ranges.push_back({covered, match->begin, false});
    ranges.push_back({match->begin, match->end, true});
    covered = match->end;
    // After an empty match, go on with the next character.
    offset = match->end;
    if (match->begin == match->end)
      offset += offset < text.size() ? decodeUtf8(text.substr(offset)).length : 1;
  }
  if (covered < text.size())
    ranges.push_back({covered, text.size(), false});
  return absl::OkStatus();
}

/// Joins each range with the one before it where `join(previous, current)`.
template <typename Join> void mergeRanges(std::vector<Range> &ranges, Join join) {
  size_t count = 0;
  bool previousIsMatch = false;
  for (size_t i = 0; i < ranges.size(); ++i) {
    Range range = ranges[i];
    if (count > 0 && join(previousIsMatch, range.isMatch))
      ranges[count - 1].end = range.end;
    else
      ranges[count++] = range;
    previousIsMatch = range.isMatch;
  }
  ranges.resize(count);
}

/// The mirror image of MergedWithPrevious.
void mergeWithNext(std::vector<Range> &ranges) {
  std::vector<Range> merged;
  bool nextIsMatch = false;
  for (auto it = ranges.rbegin(); it != ranges.rend(); ++it) {
    if (it->isMatch && !nextIsMatch && !merged.empty())
      merged.back().begin = it->begin;
    else
      merged.push_back(*it);
    nextIsMatch = it->isMatch;
  }
  std::reverse(merged.begin(), merged.end());
  ranges = std::move(merged);
}

void applyBehavior(SplitBehavior behavior, std::vector<Range> &ranges) {
  switch (behavior) {
  case SplitBehavior::Isolated:
    return;
  case SplitBehavior::Removed:
    ranges.erase(std::remove_if(ranges.begin(), ranges.end(),
                                [](const Range &range) { return range.isMatch; }),
                 ranges.end());
    return;
  case SplitBehavior::Contiguous:
    return mergeRanges(ranges, [](bool previous, bool current) { return previous == current; });
  case SplitBehavior::MergedWithPrevious:
    return mergeRanges(ranges, [](bool previous, bool current) { return current && !previous; });
  case SplitBehavior::MergedWithNext:
    return mergeWithNext(ranges);
  }
}

absl::Status splitPieces(const SplitStep &step, std::vector<std::string_view> &pieces) {
  RegexMatcher matcher(step.regex);
  std::vector<std::string_view> result;
  std::vector<Range> ranges;
  for (std::string_view piece : pieces) {
    EPIGRAPH_RETURN_IF_ERROR(findRanges(matcher, piece, ranges));
    if (step.invert)
      for (Range &range : ranges)
        range.isMatch = !range.isMatch;
    applyBehavior(step.behavior, ranges);
    for (const Range &range : ranges)
      if (range.begin < range.end)
        result.push_back(piece.substr(range.begin, range.end - range.begin));
  }
  pieces = std::move(result);
  return absl::OkStatus();
}

void prefixSpaces(TextPieces &text) {
  for (std::string_view &piece : text.pieces)
    if (piece.front() != ' ')
      piece = text.owned.emplace_back(std::string(" ").append(piece));
}

} // namespace

absl::StatusOr<TextPieces> PreTokenizer::split(std::string_view text) const {
  TextPieces result;
  if (!text.empty())
    result.pieces.push_back(text);
  for (const std::optional<SplitStep> &step : steps_) {
    if (step)
      EPIGRAPH_RETURN_IF_ERROR(splitPieces(*step, result.pieces));
    else
      prefixSpaces(result);
  }
  return result;
}

} // namespace epigraph
