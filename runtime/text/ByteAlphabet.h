// The alphabet in which tokenizer.json writes tokens: one printable character for each byte
// (GPT-2's choice), so that tokens which are no valid UTF-8 can stand in JSON. Bytes that are
// printable in Latin-1 stand for themselves; the others are U+0100, U+0101, ... in order.
#ifndef EPIGRAPH_RUNTIME_TEXT_BYTEALPHABET_H
#define EPIGRAPH_RUNTIME_TEXT_BYTEALPHABET_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace epigraph {

/// The character that stands for `byte`, as UTF-8.
std::string byteToAlphabet(uint8_t byte);

/// The bytes that `token` stands for, or nothing when it has a character outside the alphabet.
std::optional<std::string> bytesFromAlphabet(std::string_view token);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_TEXT_BYTEALPHABET_H
