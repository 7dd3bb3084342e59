// Added tokens: texts that are one token wherever they stand, found before anything else looks at
// the text.
#ifndef EPIGRAPH_RUNTIME_TEXT_ADDEDTOKENS_H
#define EPIGRAPH_RUNTIME_TEXT_ADDEDTOKENS_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

#include "runtime/text/Regex.h"

namespace epigraph {

/// An entry of "added_tokens".
struct AddedToken {
  int32_t id = 0;
  std::string content;     ///< not empty
  bool singleWord = false; ///< only where no word character is next to it
  bool lstrip = false;     ///< takes the white space before it along
  bool rstrip = false;     ///< takes the white space after it along
};

/// A part of a text: ordinary, or one added token.
struct TextSegment {
  std::string_view text;
  std::optional<int32_t> id;
};

/// Finds tokens: at each position from the left, the longest. O(text * longest token).
class AddedTokens {
public:
  static absl::StatusOr<AddedTokens> create(std::vector<AddedToken> tokens);

  /// Appends the segments of `text` to `segments`; none is empty, and views point into `text`.
  absl::Status split(std::string_view text, std::vector<TextSegment> &segments) const;

private:
  /// The longest token at the start of `text`, or null.
  const AddedToken *longestAt(std::string_view text) const;
  absl::StatusOr<bool> isWordBorder(std::string_view before, std::string_view after) const;

  std::vector<AddedToken> tokens_;
  /// A trie over bytes: (node, byte) to node; node 0 is the root.
  absl::flat_hash_map<std::pair<uint32_t, uint8_t>, uint32_t> edges_;
  std::vector<int32_t> tokenOfNode_;   ///< index into tokens_, or -1
  std::optional<Regex> wordCharacter_; ///< where some token is a single word
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_TEXT_ADDEDTOKENS_H
