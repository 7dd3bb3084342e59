// The regular expressions of tokenizer.json, which are written for Oniguruma, on PCRE2. The two
// agree on what public tokenizers use once a few classes are mapped; what would mean something else
// is refused.
#ifndef EPIGRAPH_RUNTIME_TEXT_REGEX_H
#define EPIGRAPH_RUNTIME_TEXT_REGEX_H

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace epigraph {

/// A compiled pattern; immutable and safe to use from many threads.
class Regex {
public:
  /// Compiles a pattern of Oniguruma's Ruby syntax. Errors: InvalidArgument with PCRE2's message
  /// and position, Unimplemented for constructs that mean something else to PCRE2.
  static absl::StatusOr<Regex> compile(std::string_view pattern);

  /// A pattern that matches `text` itself.
  static absl::StatusOr<Regex> literal(std::string_view text);

private:
  friend class RegexMatcher;
  struct CodeDeleter {
    void operator()(pcre2_real_code_8 *code) const;
  };

  static absl::StatusOr<Regex> compile(std::string_view pattern, uint32_t options);

  std::unique_ptr<pcre2_real_code_8, CodeDeleter> code_;
};

/// Finds matches in a text. One thread at a time.
class RegexMatcher {
public:
  struct Match {
    size_t begin;
    size_t end;
  };

  /// `regex` must outlive the matcher.
  explicit RegexMatcher(const Regex &regex);

  /// The first match in `text`, which must be valid UTF-8, at or after byte `offset`, a character
  /// border. ResourceExhausted when the pattern backtracks beyond a limit that grows with the text.
  absl::StatusOr<std::optional<Match>> find(std::string_view text, size_t offset);

private:
  struct DataDeleter {
    void operator()(pcre2_real_match_data_8 *data) const;
  };
  struct ContextDeleter {
    void operator()(pcre2_real_match_context_8 *context) const;
  };

  const Regex *regex_;
  std::unique_ptr<pcre2_real_match_data_8, DataDeleter> data_;
  std::unique_ptr<pcre2_real_match_context_8, ContextDeleter> context_;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_TEXT_REGEX_H
