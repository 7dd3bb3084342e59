// tokenizer.json to TokenizerData. Order matters: the vocabulary gives ids their tokens, added
// tokens extend it, then merges and the post-processor refer to both. Options that would change ids
// and are not implemented are refused; options that cannot (offsets, training leftovers) are
// ignored by name.
#include <array>

#include "runtime/base/Status.h"
#include "runtime/text/ByteAlphabet.h"
#include "runtime/text/Normalizer.h"
#include "runtime/text/TokenizerData.h"

namespace epigraph {
namespace {

using nlohmann::json;

/// Larger ids are refused: the tables by id would grow with what a file claims, not with what it
/// holds.
constexpr uint32_t kMaxId = (1 << 24) - 1;

constexpr absl::StatusCode kUnsupported = absl::StatusCode::kUnimplemented;

class TokenizerReader {
public:
  TokenizerReader(const json &value, std::string_view source)
      : root_(value, std::string(source), &status_), data_(std::make_unique<TokenizerData>()) {}

  absl::StatusOr<std::unique_ptr<TokenizerData>> read() {
    readHead();
    JsonObject model = root_.object("model");
    readModelOptions(model);
    readVocabulary(model.object("vocab"));
    readAddedTokens();
    readMerges(model);
    model.refuseUnknownKeys();
    data_->preTokenizer = readPreTokenizer(root_);
    if (root_.has("post_processor"))
      readPostProcessor(root_.object("post_processor"));
    readDecoder();
    root_.refuseUnknownKeys();
    EPIGRAPH_RETURN_IF_ERROR(status_);
    return std::move(data_);
  }

private:
  void readHead() {
    std::string version = "1.0";
    root_.readOptional("version", version);
    if (version != "1.0")
      root_.fail("version", absl::StrCat("expected \"1.0\", found \"", version, "\""),
                 kUnsupported);
    for (std::string_view key : {"truncation", "padding"})
      if (root_.has(key))
        root_.fail(key, "not supported; expected null", kUnsupported);
    if (root_.has("normalizer"))
      readNormalizer(root_.object("normalizer"));
  }

  void readNormalizer(JsonObject object) {
    std::string type;
    object.read("type", type);
    if (!object.ok())
      return;
    if (type == "Sequence")
      object.forEachObject("normalizers", [this](JsonObject element) { readNormalizer(element); });
    else if (type != "NFC")
      object.fail("type",
                  absl::StrCat("normalizer \"", type, "\" is not supported; expected NFC or null"),
                  kUnsupported);
    else if (!canNormalize())
      object.fail("type", "NFC needs libutf8proc, which this build of Epigraph does not have",
                  kUnsupported);
    else
      data_->nfc = true;
    object.refuseUnknownKeys();
  }

  void readModelOptions(JsonObject &model) {
    std::string type = "BPE"; // Old files leave it out.
    model.readOptional("type", type);
    if (type != "BPE")
      model.fail("type", absl::StrCat("model \"", type, "\" is not supported; expected BPE"),
                 kUnsupported);
    if (model.has("dropout"))
      model.fail("dropout", "not supported; expected null", kUnsupported);
    for (std::string_view key : {"unk_token", "continuing_subword_prefix", "end_of_word_suffix"}) {
      std::string text;
      model.readOptional(key, text);
      if (!text.empty())
        model.fail(key, absl::StrCat("\"", text, "\" is not supported; expected null"),
                   kUnsupported);
    }
    bool byteFallback = false;
    model.readOptional("byte_fallback", byteFallback);
    if (byteFallback)
      model.fail("byte_fallback", "not supported; expected false", kUnsupported);
    model.ignore("fuse_unk"); // Of unknown tokens, which a byte-level model does not have.
    model.readOptional("ignore_merges", ignoreMerges_);
  }

  /// Gives `id` its token. False, with an error about `key` of `object`, when something
  /// contradicts.
  bool define(JsonObject &object, std::string_view key, const std::string &text, uint32_t id) {
    if (data_->tokens.size() <= id)
      data_->tokens.resize(id + 1);
    TokenizerData::Token &token = data_->tokens[id];
    auto [known, inserted] = data_->ids.try_emplace(text, static_cast<int32_t>(id));
    if (known->second != static_cast<int32_t>(id)) {
      object.fail(key, absl::StrCat("\"", text, "\" has id ", known->second, " and id ", id));
      return false;
    }
    if (inserted && !token.text.empty()) {
      object.fail(key, absl::StrCat("id ", id, " is both \"", token.text, "\" and \"", text, "\""));
      return false;
    }
    token.text = text;
    token.bytes = bytesFromAlphabet(text).value_or(text);
    return true;
  }

  void readVocabulary(JsonObject vocabulary) {
    for (const auto &[text, unused] : vocabulary.value().items()) {
      uint32_t id = 0;
      vocabulary.read(text, id, kMaxId);
      if (vocabulary.ok() && text.empty())
        vocabulary.fail(text, "expected a token that is not empty");
      if (!vocabulary.ok() || !define(vocabulary, text, text, id))
        return;
    }
    for (unsigned byte = 0; byte < 256 && vocabulary.ok(); ++byte) {
      std::string letter = byteToAlphabet(static_cast<uint8_t>(byte));
      auto it = data_->ids.find(letter);
      if (it == data_->ids.end())
        return vocabulary.fail(letter, absl::StrCat("the token of byte ", byte,
                                                    " is missing; some text could not be encoded"));
      data_->encoder.byteTokens[byte] = it->second;
    }
    if (vocabulary.ok() && ignoreMerges_)
      for (const auto &[text, id] : data_->ids)
        if (std::optional<std::string> bytes = bytesFromAlphabet(text))
          data_->encoder.wholePieces.emplace(*bytes, id);
  }

  void readAddedTokens() {
    if (!root_.has("added_tokens"))
      return;
    std::vector<AddedToken> raw;
    std::vector<AddedToken> normalized;
    absl::flat_hash_map<std::string, size_t> contents;
    root_.forEachObject("added_tokens", [&](JsonObject object) {
      AddedToken token;
      uint32_t id = 0;
      bool isNormalized = false;
      bool special = false;
      object.read("id", id, kMaxId);
      object.read("content", token.content);
      object.readOptional("single_word", token.singleWord);
      object.readOptional("lstrip", token.lstrip);
      object.readOptional("rstrip", token.rstrip);
      object.readOptional("normalized", isNormalized);
      object.readOptional("special", special);
      object.refuseUnknownKeys();
      if (object.ok() && token.content.empty())
        object.fail("content", "expected a text that is not empty");
      if (object.ok() && !contents.try_emplace(token.content, contents.size()).second)
        object.fail("content", absl::StrCat("\"", token.content, "\" is there twice"));
      if (!object.ok() || !define(object, "id", token.content, id))
        return;
      token.id = static_cast<int32_t>(id);
      data_->tokens[id].special = special;
      // Looked for in normalized text.
      if (isNormalized && data_->nfc) {
        absl::StatusOr<std::string> content = toNfc(token.content);
        if (!content.ok())
          return object.fail("content", std::string(content.status().message()));
        token.content = std::move(*content);
      }
      (isNormalized ? normalized : raw).push_back(std::move(token));
    });
    if (root_.ok())
      indexAddedTokens(std::move(raw), std::move(normalized));
  }

  void indexAddedTokens(std::vector<AddedToken> raw, std::vector<AddedToken> normalized) {
    absl::StatusOr<AddedTokens> first = AddedTokens::create(std::move(raw));
    absl::StatusOr<AddedTokens> second = AddedTokens::create(std::move(normalized));
    if (!first.ok() || !second.ok()) {
      status_ = first.ok() ? second.status() : first.status();
      return;
    }
    data_->rawTokens = std::move(*first);
    data_->normalizedTokens = std::move(*second);
  }

  /// Both forms of a merge: "a b" and ["a", "b"].
  static std::optional<std::pair<std::string, std::string>> mergePair(const json &merge) {
    if (const auto *text = merge.get_ptr<const std::string *>()) {
      size_t space = text->find(' ');
      if (space == text->npos || text->find(' ', space + 1) != text->npos)
        return std::nullopt;
      return std::pair(text->substr(0, space), text->substr(space + 1));
    }
    if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string())
      return std::nullopt;
    return std::pair(*merge[0].get_ptr<const std::string *>(),
                     *merge[1].get_ptr<const std::string *>());
  }

  void readMerges(JsonObject &model) {
    const json *merges = model.member("merges");
    if (!merges || !model.ok())
      return;
    if (!merges->is_array())
      return model.fail("merges", "expected an array");
    for (uint32_t rank = 0; rank < merges->size(); ++rank) {
      auto pair = mergePair((*merges)[rank]);
      if (!pair)
        return model.fail("merges",
                          absl::StrCat("element ", rank, " is neither \"a b\" nor [\"a\", \"b\"]"));
      std::optional<int32_t> ids[3];
      std::string_view texts[3] = {pair->first, pair->second, {}};
      std::string merged = pair->first + pair->second;
      texts[2] = merged;
      for (int i = 0; i < 3; ++i) {
        auto it = data_->ids.find(abslView(texts[i]));
        if (it == data_->ids.end())
          return model.fail("merges", absl::StrCat("element ", rank, ": \"", abslView(texts[i]),
                                                   "\" is not in the vocabulary"));
        ids[i] = it->second;
      }
      data_->encoder.merges.insert_or_assign(std::pair(*ids[0], *ids[1]),
                                             BytePairEncoder::Merge{rank, *ids[2]});
    }
  }

  void readPostProcessor(JsonObject object) {
    std::string type;
    object.read("type", type);
    if (!object.ok())
      return;
    if (type == "Sequence") {
      object.forEachObject("processors",
                           [this](JsonObject element) { readPostProcessor(element); });
    } else if (type == "TemplateProcessing") {
      readTemplate(object);
    } else if (type == "ByteLevel") {
      for (std::string_view key : {"add_prefix_space", "trim_offsets", "use_regex"})
        object.ignore(key); // Of offsets into the text, which are not computed here.
    } else {
      object.fail("type",
                  absl::StrCat("post-processor \"", type,
                               "\" is not supported; expected Sequence, "
                               "TemplateProcessing or ByteLevel"),
                  kUnsupported);
    }
    object.refuseUnknownKeys();
  }

  void readTemplate(JsonObject &object) {
    JsonObject specials = object.object("special_tokens");
    object.ignore("pair"); // One text at a time.
    std::vector<int32_t> prefix;
    std::vector<int32_t> suffix;
    int sequences = 0;
    object.forEachObject("single", [&](JsonObject piece) {
      if (piece.has("Sequence")) {
        std::string id;
        piece.object("Sequence").read("id", id);
        if (piece.ok() && id != "A")
          piece.fail("Sequence", absl::StrCat("expected \"A\", found \"", id, "\""));
        ++sequences;
      } else {
        std::string name;
        piece.object("SpecialToken").read("id", name);
        readSpecialToken(specials, name, sequences == 0 ? prefix : suffix);
      }
      piece.refuseUnknownKeys();
    });
    if (object.ok() && sequences != 1)
      object.fail("single", absl::StrCat("expected the text once, found it ", sequences, " times"));
    // A later template wraps what an earlier one made.
    data_->prefix.insert(data_->prefix.begin(), prefix.begin(), prefix.end());
    data_->suffix.insert(data_->suffix.end(), suffix.begin(), suffix.end());
  }

  void readSpecialToken(JsonObject &specials, const std::string &name, std::vector<int32_t> &out) {
    if (!specials.ok())
      return;
    std::vector<uint32_t> ids;
    specials.object(name).read("ids", ids);
    for (uint32_t id : ids) {
      if (id >= data_->tokens.size() || data_->tokens[id].text.empty())
        return specials.fail(name, absl::StrCat("id ", id, " names no token"));
      out.push_back(static_cast<int32_t>(id));
    }
  }

  void readDecoder() {
    if (!root_.has("decoder"))
      return root_.fail("decoder", "missing; expected ByteLevel", kUnsupported);
    JsonObject decoder = root_.object("decoder");
    std::string type;
    decoder.read("type", type);
    int byteLevels = type == "ByteLevel";
    if (type == "Sequence")
      decoder.forEachObject("decoders", [&](JsonObject element) {
        std::string inner;
        element.read("type", inner);
        byteLevels += inner == "ByteLevel" ? 1 : 2;
      });
    if (byteLevels != 1)
      decoder.fail("type",
                   absl::StrCat("decoder \"", type, "\" is not supported; expected ByteLevel"),
                   kUnsupported);
  }

  absl::Status status_;
  JsonObject root_;
  bool ignoreMerges_ = false;
  std::unique_ptr<TokenizerData> data_;
};

} // namespace

absl::StatusOr<std::unique_ptr<TokenizerData>> readTokenizer(std::string_view json,
                                                             std::string_view source) {
  EPIGRAPH_ASSIGN_OR_RETURN(nlohmann::json value, parseJson(json, source));
  return TokenizerReader(value, source).read();
}

} // namespace epigraph
