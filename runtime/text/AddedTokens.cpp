#include "runtime/text/AddedTokens.h"

#include <algorithm>

#include "runtime/base/Status.h"
#include "runtime/text/Utf8.h"

namespace epigraph {
namespace {

/// Where the last character of `text`, valid UTF-8 and not empty, begins.
size_t lastCharacter(std::string_view text) {
  size_t position = text.size() - 1;
  while (position > 0 && (static_cast<uint8_t>(text[position]) & 0xC0) == 0x80)
    --position;
  return position;
}

/// `text` without the white space at its end, as a length.
size_t trimmedLength(std::string_view text) {
  while (!text.empty()) {
    size_t last = lastCharacter(text);
    if (!isWhiteSpace(decodeUtf8(text.substr(last)).codePoint))
      break;
    text = text.substr(0, last);
  }
  return text.size();
}

/// Bytes of white space at the start of `text`.
size_t leadingSpace(std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    Utf8Character character = decodeUtf8(text.substr(length));
    if (!isWhiteSpace(character.codePoint))
      break;
    length += character.length;
  }
  return length;
}

} // namespace

absl::StatusOr<AddedTokens> AddedTokens::create(std::vector<AddedToken> tokens) {
  AddedTokens result;
  result.tokens_ = std::move(tokens);
  result.tokenOfNode_.push_back(-1);
  bool singleWord = false;
  for (size_t i = 0; i < result.tokens_.size(); ++i) {
    uint32_t node = 0;
    for (char c : result.tokens_[i].content) {
      uint32_t fresh = static_cast<uint32_t>(result.tokenOfNode_.size());
      auto [edge, inserted] = result.edges_.try_emplace({node, static_cast<uint8_t>(c)}, fresh);
      if (inserted)
        result.tokenOfNode_.push_back(-1);
      node = edge->second;
    }
    result.tokenOfNode_[node] = static_cast<int32_t>(i);
    singleWord |= result.tokens_[i].singleWord;
  }
  if (singleWord) {
    // A word character by Unicode's recommendation for regular expressions (UTS 18, annex C).
    EPIGRAPH_ASSIGN_OR_RETURN(
        result.wordCharacter_,
        Regex::compile(R"(^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])"));
  }
  return result;
}

const AddedToken *AddedTokens::longestAt(std::string_view text) const {
  const AddedToken *longest = nullptr;
  uint32_t node = 0;
  for (char c : text) {
    auto edge = edges_.find(std::pair(node, static_cast<uint8_t>(c)));
    if (edge == edges_.end())
      break;
    node = edge->second;
    if (tokenOfNode_[node] >= 0)
      longest = &tokens_[tokenOfNode_[node]];
  }
  return longest;
}

absl::StatusOr<bool> AddedTokens::isWordBorder(std::string_view before,
                                               std::string_view after) const {
  RegexMatcher matcher(*wordCharacter_);
  for (std::string_view side :
       {before.empty() ? before : before.substr(lastCharacter(before)), after}) {
    if (side.empty())
      continue;
    std::string_view character = side.substr(0, decodeUtf8(side).length);
    EPIGRAPH_ASSIGN_OR_RETURN(auto match, matcher.find(character, 0));
    if (match)
      return false;
  }
  return true;
}

absl::Status AddedTokens::split(std::string_view text, std::vector<TextSegment> &segments) const {
  size_t covered = 0;
  for (size_t position = 0; position < text.size();) {
    const AddedToken *token = longestAt(text.substr(position));
    if (!token) {
      ++position;
      continue;
    }
    size_t begin = position;
    size_t end = position + token->content.size();
    position = end;
    if (token->singleWord) {
      EPIGRAPH_ASSIGN_OR_RETURN(bool isWord, isWordBorder(text.substr(0, begin), text.substr(end)));
      if (!isWord)
        continue;
    }
    if (token->lstrip)
      begin = std::max(covered, trimmedLength(text.substr(0, begin)));
    if (token->rstrip)
      end += leadingSpace(text.substr(end));
    if (begin > covered)
      segments.push_back({text.substr(covered, begin - covered), std::nullopt});
    segments.push_back({text.substr(begin, end - begin), token->id});
    covered = std::max(covered, end);
  }
  if (covered < text.size())
    segments.push_back({text.substr(covered), std::nullopt});
  return absl::OkStatus();
}

} // namespace epigraph
