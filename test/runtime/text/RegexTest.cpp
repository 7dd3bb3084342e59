#include "runtime/text/Regex.h"

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

/// The first match as text, or "no match".
std::string firstMatch(std::string_view pattern, std::string_view text) {
  Regex regex = std::move(*Regex::compile(pattern));
  auto match = RegexMatcher(regex).find(text, 0);
  EXPECT_TRUE(match.ok()) << match.status();
  if (!match.ok() || !*match)
    return "no match";
  return std::string(text.substr((*match)->begin, (*match)->end - (*match)->begin));
}

TEST(RegexTest, ClassesAreUnicodes) {
  EXPECT_EQ(firstMatch("\\p{L}+", "12 Größe中文!"), "Größe中文");
  EXPECT_EQ(firstMatch("\\d+", "a٣٤"), "٣٤");
  EXPECT_EQ(firstMatch("\\s+", "a\u00a0\u3000\u0085b"), "\u00a0\u3000\u0085");
  EXPECT_EQ(firstMatch("[\\s]", "\u180e"), "no match"); // White space to PCRE2's own \s.
  EXPECT_EQ(firstMatch("\\S", "\u180e"), "\u180e");
  EXPECT_EQ(firstMatch("(?i:'LL)", "I'll"), "'ll");
  EXPECT_EQ(firstMatch("\\\\s", "\\s"), "\\s"); // An escaped backslash.
}

TEST(RegexTest, LiteralsAreNotPatterns) {
  Regex regex = std::move(*Regex::literal("a.b"));
  RegexMatcher matcher(regex);
  EXPECT_EQ((*matcher.find("axb a.b", 0))->begin, 4u);
}

TEST(RegexTest, StartsWhereItIsTold) {
  Regex regex = std::move(*Regex::compile("a"));
  RegexMatcher matcher(regex);
  EXPECT_EQ((*matcher.find("aba", 1))->begin, 2u);
  EXPECT_EQ(*matcher.find("aba", 3), std::nullopt);
}

TEST(RegexTest, RefusesWhatMeansSomethingElse) {
  for (const char *pattern : {"\\w", "\\b", "\\h", "\\R", "\\K", "[a&&b]"})
    expectError(Regex::compile(pattern), absl::StatusCode::kUnimplemented, "is not supported");
  expectError(Regex::compile("a("), absl::StatusCode::kInvalidArgument, "pattern \"a(\"");
}

TEST(RegexTest, BoundsBacktracking) {
  Regex regex = std::move(*Regex::compile("(a|aa)+[bc]"));
  RegexMatcher matcher(regex);
  expectError(matcher.find(std::string(60, 'a'), 0), absl::StatusCode::kResourceExhausted, "limit");
}

TEST(RegexTest, TakesDeepRecursionFromTheHeap) {
  // Each turn of the group keeps a state: more than the compiled code's stack holds.
  std::string text(200'000, 'a');
  EXPECT_EQ(firstMatch("(?:(a)|b)+", text).size(), text.size());
}

} // namespace
} // namespace epigraph
