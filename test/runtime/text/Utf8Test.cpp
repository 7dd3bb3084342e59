#include "runtime/text/Utf8.h"

#include "gtest/gtest.h"

#include "runtime/text/ByteAlphabet.h"

namespace epigraph {
namespace {

TEST(Utf8Test, RoundTripsEveryScalarValue) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF)
      continue;
    std::string text;
    appendUtf8(c, text);
    Utf8Character character = decodeUtf8(text);
    ASSERT_EQ(character.kind, Utf8Character::Kind::Valid) << uint32_t{c};
    ASSERT_EQ(character.codePoint, c);
    ASSERT_EQ(character.length, text.size());
    // Every proper start of a character is incomplete.
    for (size_t size = 1; size < text.size(); ++size)
      ASSERT_EQ(decodeUtf8(text.substr(0, size)).kind, Utf8Character::Kind::Incomplete);
  }
}

TEST(Utf8Test, FindsTheFirstInvalidByte) {
  const std::pair<std::string_view, size_t> cases[] = {
      {"", std::string_view::npos},
      {"aé中😀", std::string_view::npos},
      {"a\x80", 1},            // continuation without a start
      {"\xc1\xbf", 0},         // overlong
      {"\xe0\x9f\xbf", 0},     // overlong
      {"\xf0\x8f\xbf\xbf", 0}, // overlong
      {"\xed\xa0\x80", 0},     // surrogate
      {"\xf4\x90\x80\x80", 0}, // over U+10FFFF
      {"\xf5\x80\x80\x80", 0}, // over U+10FFFF
      {"é\xe4\xb8", 2},        // cut off
  };
  for (const auto &[text, position] : cases)
    EXPECT_EQ(findInvalidUtf8(text), position) << testing::PrintToString(text);
}

/// The examples of the Unicode Standard, table 3-11 and its neighbours: one U+FFFD for each maximal
/// part.
TEST(Utf8Test, ReplacesMaximalParts) {
  const std::pair<std::string, std::string> cases[] = {
      {"\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64",
       "\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd"},
      {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
      {"\xed\xa0\x80\x41", "\uFFFD\uFFFD\uFFFDA"},
      {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB"},
  };
  for (auto [bytes, expected] : cases) {
    std::string out;
    drainUtf8(bytes, out);
    EXPECT_EQ(out, expected);
    EXPECT_EQ(bytes, "");
  }
}

TEST(Utf8Test, KeepsIncompleteCharacters) {
  std::string bytes = "a\xe4\xb8";
  std::string out;
  drainUtf8(bytes, out);
  EXPECT_EQ(out, "a");
  EXPECT_EQ(bytes, "\xe4\xb8");
}

TEST(ByteAlphabetTest, IsOneToOne) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string letter = byteToAlphabet(static_cast<uint8_t>(byte));
    EXPECT_EQ(bytesFromAlphabet(letter), std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(byteToAlphabet(' '), "Ġ");
  EXPECT_EQ(byteToAlphabet('\n'), "Ċ");
  EXPECT_EQ(byteToAlphabet('a'), "a");
  EXPECT_EQ(byteToAlphabet(0xAD), "Ń"); // The last of those that do not stand for themselves.
  EXPECT_EQ(bytesFromAlphabet("a b"), std::nullopt);
  EXPECT_EQ(bytesFromAlphabet("a\xff"), std::nullopt);
  EXPECT_EQ(bytesFromAlphabet("中"), std::nullopt);
}

} // namespace
} // namespace epigraph
