// Byte-level BPE tokenizers from Hugging Face's tokenizer.json: text to token ids and back, with
// the same ids as the `tokenizers` library. Whatever a file asks for beyond that is refused when it
// is loaded.
#ifndef EPIGRAPH_RUNTIME_TEXT_TOKENIZER_H
#define EPIGRAPH_RUNTIME_TEXT_TOKENIZER_H

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace epigraph {

struct TokenizerData;

/// An immutable tokenizer; safe to use from many threads.
class Tokenizer {
public:
  /// Reads a tokenizer.json. Errors: InvalidArgument for a broken file, Unimplemented for a kind of
  /// tokenizer that is not byte-level BPE; both name the key.
  static absl::StatusOr<Tokenizer> load(const std::filesystem::path &path);

  /// The same from the text of the file; `source` names it in errors.
  static absl::StatusOr<Tokenizer> parse(std::string_view json, std::string_view source);

  Tokenizer(Tokenizer &&) noexcept;
  Tokenizer &operator=(Tokenizer &&) noexcept;
  ~Tokenizer();

  /// The ids of `text`. Added tokens are recognised wherever their text stands. With `addSpecial`,
  /// what the file's post-processor adds (usually the begin-of-sequence token). O(n log n) in the
  /// length of the text. Errors: InvalidArgument when `text` is not UTF-8 (names the byte),
  /// ResourceExhausted when a pattern of the file exceeds its matching limit.
  absl::StatusOr<std::vector<int32_t>> encode(std::string_view text, bool addSpecial = true) const;

  /// The text of `ids`; ids that name no token give nothing, and bytes that are not UTF-8 become
  /// U+FFFD. With `skipSpecial`, special tokens give nothing.
  std::string decode(absl::Span<const int32_t> ids, bool skipSpecial = true) const;

  /// The id of the token written `token` in the file (byte-level alphabet for ordinary tokens), or
  /// nothing.
  std::optional<int32_t> idOf(std::string_view token) const;

  /// The token of `id` as written in the file, or nothing.
  std::optional<std::string_view> tokenOf(int32_t id) const;

  /// Whether `id` is a special token.
  bool isSpecial(int32_t id) const;

  /// The raw bytes that `id` stands for in a decoded text; empty for ids that name no token.
  std::string_view bytesOf(int32_t id) const;

  /// One more than the largest id.
  int32_t vocabSize() const;

private:
  explicit Tokenizer(std::unique_ptr<const TokenizerData> data);

  std::unique_ptr<const TokenizerData> data_;
};

/// Decodes a stream of tokens. The pieces put together equal Tokenizer::decode of all ids; a piece
/// never ends inside a character.
class StreamDecoder {
public:
  /// `tokenizer` must outlive the decoder.
  explicit StreamDecoder(const Tokenizer &tokenizer, bool skipSpecial = true)
      : tokenizer_(&tokenizer), skipSpecial_(skipSpecial) {}

  /// The text that is complete after `id`; may be empty.
  std::string push(int32_t id);

  /// The rest: U+FFFD when the stream ended inside a character. The decoder can be used again
  /// afterwards.
  std::string finish();

private:
  const Tokenizer *tokenizer_;
  bool skipSpecial_;
  std::string pending_; ///< at most 3 bytes: the start of a character
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_TEXT_TOKENIZER_H
