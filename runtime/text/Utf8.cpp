#include "runtime/text/Utf8.h"

namespace epigraph {
namespace {

/// What the first byte of a character says of the rest: its length, and the range of the second
/// byte, which is narrower than 80..BF where overlong forms, surrogates and values over U+10FFFF
/// begin.
struct Lead {
  size_t length; ///< 0: starts no character
  uint8_t secondMin;
  uint8_t secondMax;
};

Lead classifyLead(uint8_t byte) {
  if (byte < 0x80)
    return {1, 0, 0};
  if (byte >= 0xC2 && byte <= 0xDF)
    return {2, 0x80, 0xBF};
  if (byte >= 0xE0 && byte <= 0xEF)
    return {3, uint8_t(byte == 0xE0 ? 0xA0 : 0x80), uint8_t(byte == 0xED ? 0x9F : 0xBF)};
  if (byte >= 0xF0 && byte <= 0xF4)
    return {4, uint8_t(byte == 0xF0 ? 0x90 : 0x80), uint8_t(byte == 0xF4 ? 0x8F : 0xBF)};
  return {0, 0, 0};
}

} // namespace

Utf8Character decodeUtf8(std::string_view text) {
  using Kind = Utf8Character::Kind;
  uint8_t first = static_cast<uint8_t>(text[0]);
  Lead lead = classifyLead(first);
  if (lead.length == 0)
    return {Kind::Invalid, 1, 0};
  if (lead.length == 1)
    return {Kind::Valid, 1, first};
  char32_t codePoint = first & (0x7F >> lead.length);
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == text.size())
      return {Kind::Incomplete, i, 0};
    uint8_t byte = static_cast<uint8_t>(text[i]);
    uint8_t min = i == 1 ? lead.secondMin : 0x80;
    uint8_t max = i == 1 ? lead.secondMax : 0xBF;
    if (byte < min || byte > max)
      return {Kind::Invalid, i, 0};
    codePoint = codePoint << 6 | (byte & 0x3F);
  }
  return {Kind::Valid, lead.length, codePoint};
}

size_t findInvalidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    Utf8Character character = decodeUtf8(text.substr(i));
    if (character.kind != Utf8Character::Kind::Valid)
      return i;
    i += character.length;
  }
  return std::string_view::npos;
}

void appendUtf8(char32_t codePoint, std::string &out) {
  auto continuation = [&](int shift) {
    out.push_back(static_cast<char>(0x80 | (codePoint >> shift & 0x3F)));
  };
  if (codePoint < 0x80) {
    out.push_back(static_cast<char>(codePoint));
  } else if (codePoint < 0x800) {
    out.push_back(static_cast<char>(0xC0 | codePoint >> 6));
    continuation(0);
  } else if (codePoint < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | codePoint >> 12));
    continuation(6);
    continuation(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | codePoint >> 18));
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

void drainUtf8(std::string &bytes, std::string &out) {
  size_t position = 0;
  while (position < bytes.size()) {
    std::string_view rest = std::string_view(bytes).substr(position);
    Utf8Character character = decodeUtf8(rest);
    if (character.kind == Utf8Character::Kind::Incomplete)
      break;
    out += character.kind == Utf8Character::Kind::Valid ? rest.substr(0, character.length)
                                                        : kReplacementCharacter;
    position += character.length;
  }
  bytes.erase(0, position);
}

bool isWhiteSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

} // namespace epigraph
