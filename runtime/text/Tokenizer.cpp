#include "runtime/text/Tokenizer.h"

#include <deque>

#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"
#include "runtime/text/Normalizer.h"
#include "runtime/text/TokenizerData.h"
#include "runtime/text/Utf8.h"

namespace epigraph {
namespace {

/// Vocabularies of 250,000 tokens have files of some 20 MB.
constexpr uint64_t kMaxFileBytes = 512ull << 20;
/// What the encoder's positions can count, with room for prefix spaces.
constexpr size_t kMaxTextBytes = 1ull << 30;

/// The segments of a text, and the normalized parts that they view.
struct SegmentedText {
  std::vector<TextSegment> segments;
  std::deque<std::string> owned;
};

/// Cuts `text` at its added tokens and normalizes the rest, in the order that TokenizerData
/// describes.
absl::StatusOr<SegmentedText> splitAddedTokens(const TokenizerData &data, std::string_view text) {
  std::vector<TextSegment> raw;
  EPIGRAPH_RETURN_IF_ERROR(data.rawTokens.split(text, raw));
  SegmentedText result;
  for (const TextSegment &segment : raw) {
    if (segment.id) {
      result.segments.push_back(segment);
      continue;
    }
    std::string_view part = segment.text;
    if (data.nfc) {
      EPIGRAPH_ASSIGN_OR_RETURN(std::string normalized, toNfc(part));
      part = result.owned.emplace_back(std::move(normalized));
    }
    EPIGRAPH_RETURN_IF_ERROR(data.normalizedTokens.split(part, result.segments));
  }
  return result;
}

} // namespace

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerData> data) : data_(std::move(data)) {}
Tokenizer::Tokenizer(Tokenizer &&) noexcept = default;
Tokenizer &Tokenizer::operator=(Tokenizer &&) noexcept = default;
Tokenizer::~Tokenizer() = default;

absl::StatusOr<Tokenizer> Tokenizer::load(const std::filesystem::path &path) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::string json, readFile(path, kMaxFileBytes));
  absl::StatusOr<Tokenizer> tokenizer = parse(json, path.string());
  if (absl::IsUnimplemented(tokenizer.status()))
    return withCode(ErrorCode::UnsupportedTokenizer, tokenizer.status());
  return tokenizer;
}

absl::StatusOr<Tokenizer> Tokenizer::parse(std::string_view json, std::string_view source) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::unique_ptr<TokenizerData> data, readTokenizer(json, source));
  return Tokenizer(std::move(data));
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                                       bool addSpecial) const {
  if (text.size() > kMaxTextBytes)
    return absl::ResourceExhaustedError(absl::StrCat("the text has ", text.size(),
                                                     " bytes; at most ", kMaxTextBytes,
                                                     " can be tokenized at once"));
  if (size_t invalid = findInvalidUtf8(text); invalid != text.npos)
    return absl::InvalidArgumentError(
        absl::StrCat("the text is not valid UTF-8 at byte ", invalid, "; convert it to UTF-8"));
  EPIGRAPH_ASSIGN_OR_RETURN(SegmentedText segmented, splitAddedTokens(*data_, text));
  std::vector<int32_t> ids;
  if (addSpecial)
    ids = data_->prefix;
  for (const TextSegment &segment : segmented.segments) {
    if (segment.id) {
      ids.push_back(*segment.id);
      continue;
    }
    EPIGRAPH_ASSIGN_OR_RETURN(TextPieces pieces, data_->preTokenizer.split(segment.text));
    for (std::string_view piece : pieces.pieces)
      data_->encoder.encode(piece, ids);
  }
  if (addSpecial)
    ids.insert(ids.end(), data_->suffix.begin(), data_->suffix.end());
  return ids;
}

std::string Tokenizer::decode(absl::Span<const int32_t> ids, bool skipSpecial) const {
  StreamDecoder decoder(*this, skipSpecial);
  std::string text;
  for (int32_t id : ids)
    text += decoder.push(id);
  return text + decoder.finish();
}

std::optional<int32_t> Tokenizer::idOf(std::string_view token) const {
  auto it = data_->ids.find(abslView(token));
  return it == data_->ids.end() ? std::nullopt : std::optional(it->second);
}

std::optional<std::string_view> Tokenizer::tokenOf(int32_t id) const {
  if (id < 0 || id >= vocabSize() || data_->tokens[id].text.empty())
    return std::nullopt;
  return data_->tokens[id].text;
}

bool Tokenizer::isSpecial(int32_t id) const {
  return id >= 0 && id < vocabSize() && data_->tokens[id].special;
}

std::string_view Tokenizer::bytesOf(int32_t id) const {
  return id >= 0 && id < vocabSize() ? std::string_view(data_->tokens[id].bytes)
                                     : std::string_view();
}

int32_t Tokenizer::vocabSize() const { return static_cast<int32_t>(data_->tokens.size()); }

std::string StreamDecoder::push(int32_t id) {
  std::string text;
  if (skipSpecial_ && tokenizer_->isSpecial(id))
    return text;
  pending_ += tokenizer_->bytesOf(id);
  drainUtf8(pending_, text);
  return text;
}

std::string StreamDecoder::finish() {
  std::string text(pending_.empty() ? std::string_view() : kReplacementCharacter);
  pending_.clear();
  return text;
}

} // namespace epigraph
