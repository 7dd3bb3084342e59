// Byte pair encoding: bytes become tokens by merging neighbours, the lowest rank first.
#ifndef EPIGRAPH_RUNTIME_TEXT_BYTEPAIRENCODER_H
#define EPIGRAPH_RUNTIME_TEXT_BYTEPAIRENCODER_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace epigraph {

/// An immutable table of merges.
class BytePairEncoder {
public:
  /// Two neighbouring tokens that become one.
  struct Merge {
    uint32_t rank; ///< lower ones go first
    int32_t result;
  };

  /// Tokens of the single bytes.
  std::array<int32_t, 256> byteTokens{};
  absl::flat_hash_map<std::pair<int32_t, int32_t>, Merge> merges;
  /// Pieces that are one token as they are, whatever the merges say ("ignore_merges"); by their
  /// bytes.
  absl::flat_hash_map<std::string, int32_t> wholePieces;

  /// Appends the tokens of `piece` to `ids`. O(n log n). `piece` has less than 2^31 bytes.
  void encode(std::string_view piece, std::vector<int32_t> &ids) const;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_TEXT_BYTEPAIRENCODER_H
