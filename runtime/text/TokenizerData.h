// What a tokenizer is once its file is read. Shared by the reader, which fills it, and Tokenizer,
// which uses it.
#ifndef EPIGRAPH_RUNTIME_TEXT_TOKENIZERDATA_H
#define EPIGRAPH_RUNTIME_TEXT_TOKENIZERDATA_H

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

#include "runtime/base/Json.h"
#include "runtime/text/AddedTokens.h"
#include "runtime/text/BytePairEncoder.h"
#include "runtime/text/PreTokenizer.h"

namespace epigraph {

struct TokenizerData {
  struct Token {
    std::string text;  ///< as written in the file; empty where no token has this id
    std::string bytes; ///< what it decodes to
    bool special = false;
  };

  std::vector<Token> tokens; ///< by id
  absl::flat_hash_map<std::string, int32_t> ids;
  /// Added tokens in two groups: those that are not "normalized" are found first, the others in
  /// what is left.
  AddedTokens rawTokens;
  /// Whether what is left is brought into Unicode's normalization form C.
  bool nfc = false;
  AddedTokens normalizedTokens;
  PreTokenizer preTokenizer;
  BytePairEncoder encoder;
  /// What the post-processor puts around the ids of a text.
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;
};

/// Reads the text of a tokenizer.json; `source` names it in errors.
absl::StatusOr<std::unique_ptr<TokenizerData>> readTokenizer(std::string_view json,
                                                             std::string_view source);

/// Reads "pre_tokenizer". Errors go to the status of `parent`, the object that holds it.
PreTokenizer readPreTokenizer(JsonObject &parent);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_TEXT_TOKENIZERDATA_H
