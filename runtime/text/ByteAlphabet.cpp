#include "runtime/text/ByteAlphabet.h"

#include <array>

#include "runtime/text/Utf8.h"

namespace epigraph {
namespace {

constexpr bool standsForItself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> characters{};
  std::array<int16_t, 0x200> bytes{}; ///< by character; -1 where it is none of the alphabet

  constexpr Alphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      characters[byte] = standsForItself(byte) ? byte : next++;
      bytes[characters[byte]] = static_cast<int16_t>(byte);
    }
  }
};

constexpr Alphabet kAlphabet;

} // namespace

std::string byteToAlphabet(uint8_t byte) {
  std::string result;
  appendUtf8(kAlphabet.characters[byte], result);
  return result;
}

std::optional<std::string> bytesFromAlphabet(std::string_view token) {
  std::string result;
  while (!token.empty()) {
    Utf8Character character = decodeUtf8(token);
    if (character.kind != Utf8Character::Kind::Valid ||
        character.codePoint >= kAlphabet.bytes.size() || kAlphabet.bytes[character.codePoint] < 0)
      return std::nullopt;
    result.push_back(static_cast<char>(kAlphabet.bytes[character.codePoint]));
    token.remove_prefix(character.length);
  }
  return result;
}

} // namespace epigraph
