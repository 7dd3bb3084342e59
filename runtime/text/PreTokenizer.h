// Cutting text into the pieces within which tokens are formed: the "pre_tokenizer" of
// tokenizer.json as a list of splits.
#ifndef EPIGRAPH_RUNTIME_TEXT_PRETOKENIZER_H
#define EPIGRAPH_RUNTIME_TEXT_PRETOKENIZER_H

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "runtime/text/Regex.h"

namespace epigraph {

/// What becomes of the matches of a split; as in `tokenizers`.
enum class SplitBehavior {
  Removed,            ///< dropped
  Isolated,           ///< a piece each
  MergedWithPrevious, ///< the end of the piece before
  MergedWithNext,     ///< the start of the piece after
  Contiguous,         ///< adjacent ones are one piece
};

/// One step: cuts every piece so far.
struct SplitStep {
  Regex regex;
  SplitBehavior behavior = SplitBehavior::Isolated;
  bool invert = false; ///< what does not match counts as the match
};

/// Pieces of a text, none empty; views of the text or of `owned`.
struct TextPieces {
  std::vector<std::string_view> pieces;
  std::deque<std::string> owned;
};

/// An immutable list of steps, applied in order.
class PreTokenizer {
public:
  void addSplit(SplitStep step) { steps_.emplace_back(std::move(step)); }
  /// Puts a space before every piece that does not start with one.
  void addPrefixSpace() { steps_.emplace_back(std::nullopt); }

  /// Cuts `text`, valid UTF-8; it must outlive the pieces. Errors: see RegexMatcher::find.
  absl::StatusOr<TextPieces> split(std::string_view text) const;

private:
  std::vector<std::optional<SplitStep>> steps_; ///< nothing: the prefix space
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_TEXT_PRETOKENIZER_H
