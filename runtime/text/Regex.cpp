#include "runtime/text/Regex.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "runtime/base/Status.h"

namespace epigraph {
namespace {

std::string errorMessage(int code) {
  PCRE2_UCHAR buffer[256];
  if (pcre2_get_error_message(code, buffer, sizeof(buffer)) < 0)
    return absl::StrCat("error ", code);
  return reinterpret_cast<const char *>(buffer);
}

/// Escapes that both libraries know, with different meanings: \h is a hexadecimal digit to
/// Oniguruma, \w has other Unicode categories, and so on. No public tokenizer was found to use
/// them.
constexpr std::string_view kDifferentEscapes = "wWbBhHRXKGzZAQENOyYgkM";

/// The pattern with Oniguruma's meaning. PCRE2's \s includes U+180E, Unicode's White_Space does
/// not.
absl::StatusOr<std::string> translate(std::string_view pattern) {
  std::string result;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern.substr(i, 2) == "&&")
      return absl::UnimplementedError("'&&' (an intersection of classes) is not supported");
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      result.push_back(pattern[i]);
      continue;
    }
    char escaped = pattern[++i];
    if (kDifferentEscapes.find(escaped) != kDifferentEscapes.npos)
      return absl::UnimplementedError(
          absl::StrCat("'\\", std::string(1, escaped), "' is not supported"));
    if (escaped == 's')
      result += "\\p{White_Space}";
    else if (escaped == 'S')
      result += "\\P{White_Space}";
    else
      result.append({'\\', escaped});
  }
  return result;
}

} // namespace

void Regex::CodeDeleter::operator()(pcre2_code *code) const { pcre2_code_free(code); }

absl::StatusOr<Regex> Regex::compile(std::string_view pattern) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::string translated, translate(pattern));
  // Multi-line: '^' and '$' match at every line in Ruby's syntax.
  return compile(translated, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C);
}

absl::StatusOr<Regex> Regex::literal(std::string_view text) {
  return compile(text, PCRE2_UTF | PCRE2_LITERAL);
}

absl::StatusOr<Regex> Regex::compile(std::string_view pattern, uint32_t options) {
  int error = 0;
  PCRE2_SIZE position = 0;
  Regex result;
  result.code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   options, &error, &position, nullptr));
  if (!result.code_)
    return absl::InvalidArgumentError(absl::StrCat("pattern \"", abslView(pattern),
                                                   "\": ", errorMessage(error), " at ", position));
  // Where there is no just-in-time compiler, pcre2_match interprets.
  pcre2_jit_compile(result.code_.get(), PCRE2_JIT_COMPLETE);
  return result;
}

void RegexMatcher::DataDeleter::operator()(pcre2_match_data *data) const {
  pcre2_match_data_free(data);
}

void RegexMatcher::ContextDeleter::operator()(pcre2_match_context *context) const {
  pcre2_match_context_free(context);
}

RegexMatcher::RegexMatcher(const Regex &regex)
    : regex_(&regex), data_(pcre2_match_data_create_from_pattern(regex.code_.get(), nullptr)),
      context_(pcre2_match_context_create(nullptr)) {
  if (context_)
    pcre2_set_heap_limit(context_.get(), 256 << 10); // KiB
}

absl::StatusOr<std::optional<RegexMatcher::Match>> RegexMatcher::find(std::string_view text,
                                                                      size_t offset) {
  if (!data_ || !context_)
    return absl::ResourceExhaustedError("no memory to match a pattern");
  // A run of one class may be given back character by character; anything much beyond that is a
  // pattern gone wild. Linear in the text, so that a long text is never refused for its length.
  uint64_t limit = 1'000'000 + 32 * uint64_t{text.size()};
  pcre2_set_match_limit(context_.get(), static_cast<uint32_t>(std::min<uint64_t>(
                                            limit, std::numeric_limits<uint32_t>::max())));
  // The caller has checked the text once; checking it at every match would be quadratic.
  auto match = [&](uint32_t options) {
    return pcre2_match(regex_->code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                       offset, PCRE2_NO_UTF_CHECK | options, data_.get(), context_.get());
  };
  int count = match(0);
  // Compiled patterns have a small stack; the interpreter uses the heap.
  if (count == PCRE2_ERROR_JIT_STACKLIMIT)
    count = match(PCRE2_NO_JIT);
  if (count == PCRE2_ERROR_NOMATCH)
    return std::nullopt;
  if (count < 0)
    return absl::ResourceExhaustedError(
        absl::StrCat("matching a pattern at byte ", offset, ": ", errorMessage(count)));
  const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data_.get());
  // \K, refused above, is the one way to a match that ends before it begins.
  return Match{ends[0], ends[1]};
}

} // namespace epigraph
