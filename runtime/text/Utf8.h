// The few things that a tokenizer needs to know of UTF-8.
#ifndef EPIGRAPH_RUNTIME_TEXT_UTF8_H
#define EPIGRAPH_RUNTIME_TEXT_UTF8_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace epigraph {

/// What stands for bytes that are no character.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// What lies at the start of a text.
struct Utf8Character {
  enum class Kind {
    Valid,      ///< a character of `length` bytes
    Invalid,    ///< `length` bytes that no text can hold: a maximal ill-formed part (Unicode 3.9,
                ///< U+FFFD practice)
    Incomplete, ///< all `length` bytes of the text start a character that goes on after its end
  };
  Kind kind;
  size_t length;
  char32_t codePoint; ///< of a valid character
};

/// Decodes the start of `text`, which must not be empty.
Utf8Character decodeUtf8(std::string_view text);

/// The position of the first byte that is not part of valid UTF-8, or npos.
size_t findInvalidUtf8(std::string_view text);

/// `codePoint`, a Unicode scalar value, appended to `out`.
void appendUtf8(char32_t codePoint, std::string &out);

/// Moves all of `bytes` but an incomplete character at its end to `out`, with U+FFFD for each
/// ill-formed part. What is left stays in `bytes`.
void drainUtf8(std::string &bytes, std::string &out);

/// Unicode's White_Space.
bool isWhiteSpace(char32_t codePoint);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_TEXT_UTF8_H
