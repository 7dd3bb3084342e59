// Each refusal is a valid tokenizer.json with one thing changed.
#include "nlohmann/json.hpp"

#include "runtime/text/Tokenizer.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using nlohmann::json;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kUnsupported = absl::StatusCode::kUnimplemented;

json sample() {
  return json::parse(contentOf(EPIGRAPH_SOURCE_DIR "/test/runtime/text/data/deepseek.json"));
}

struct Change {
  const char *pointer; ///< "" replaces all; a null replacement is a JSON null
  json value;
  absl::StatusCode code;
  const char *message;
};

void expectRefusals(const std::vector<Change> &changes) {
  for (const Change &change : changes) {
    json value = sample();
    value[json::json_pointer(change.pointer)] = change.value;
    SCOPED_TRACE(std::string(change.pointer) + " = " + change.value.dump());
    expectError(Tokenizer::parse(value.dump(), "f"), change.code, change.message);
  }
}

TEST(TokenizerRefusalTest, AcceptsTheSample) {
  EXPECT_TRUE(Tokenizer::parse(sample().dump(), "f").ok());
}

TEST(TokenizerRefusalTest, Files) {
  expectError(Tokenizer::load("/nonexistent/tokenizer.json"), absl::StatusCode::kNotFound,
              "/nonexistent/tokenizer.json");
  expectError(Tokenizer::parse("{", "f"), kInvalid, "f: parse error");
  expectError(Tokenizer::parse("[]", "f"), kInvalid, "f: expected an object");
  expectError(Tokenizer::parse("{}", "f"), kInvalid, "f.model: missing");
}

TEST(TokenizerRefusalTest, Head) {
  expectRefusals({
      {"/version", "2.0", kUnsupported, "f.version: expected \"1.0\", found \"2.0\""},
      {"/truncation", {{"max_length", 5}}, kUnsupported, "f.truncation"},
      {"/padding", {{"strategy", "x"}}, kUnsupported, "f.padding"},
      {"/unheard_of", 1, kInvalid, "f.unheard_of: unknown key"},
      {"/normalizer", {{"type", "NFKC"}}, kUnsupported, "normalizer \"NFKC\" is not supported"},
      {"/normalizer",
       {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}},
       kUnsupported,
       "f.normalizer.normalizers[0].type: normalizer \"Lowercase\""},
      {"/normalizer", {{"type", 1}}, kInvalid, "f.normalizer.type: expected a string"},
  });
}

TEST(TokenizerRefusalTest, Model) {
  expectRefusals({
      {"/model/type", "Unigram", kUnsupported, "f.model.type: model \"Unigram\""},
      {"/model/dropout", 0.1, kUnsupported, "f.model.dropout"},
      {"/model/unk_token", "<unk>", kUnsupported, "f.model.unk_token"},
      {"/model/continuing_subword_prefix", "##", kUnsupported, "continuing_subword_prefix"},
      {"/model/end_of_word_suffix", "</w>", kUnsupported, "end_of_word_suffix"},
      {"/model/byte_fallback", true, kUnsupported, "f.model.byte_fallback"},
      {"/model/unheard_of", 1, kInvalid, "f.model.unheard_of: unknown key"},
      {"/model/vocab", json::array(), kInvalid, "f.model.vocab: expected an object"},
      {"/model/vocab/zz", -1, kInvalid, "f.model.vocab.zz"},
      {"/model/vocab/zz", 1 << 24, kInvalid, "at most 16777215"},
      {"/model/vocab/zz", 5, kInvalid, "id 5 is both"},
      {"/model/vocab/", 5000, kInvalid, "expected a token that is not empty"},
      {"/model/merges", "a b", kInvalid, "f.model.merges: expected an array"},
      {"/model/merges/0", "ab", kInvalid, "element 0 is neither"},
      {"/model/merges/0", "a b c", kInvalid, "element 0 is neither"},
      {"/model/merges/0", {"a"}, kInvalid, "element 0 is neither"},
      {"/model/merges/0", {"a", 1}, kInvalid, "element 0 is neither"},
      {"/model/merges/0", {"a", "zz"}, kInvalid, "\"zz\" is not in the vocabulary"},
      {"/model/merges/0", {"!", "a"}, kInvalid, "\"!a\" is not in the vocabulary"},
  });
}

TEST(TokenizerRefusalTest, VocabulariesWithoutAByte) {
  json value = sample();
  value["model"]["vocab"].erase("!");
  value["model"]["merges"] = json::array();
  expectError(Tokenizer::parse(value.dump(), "f"), kInvalid, "the token of byte 33 is missing");
}

TEST(TokenizerRefusalTest, AddedTokens) {
  expectRefusals({
      {"/added_tokens", 1, kInvalid, "f.added_tokens: expected an array"},
      {"/added_tokens/0", 1, kInvalid, "f.added_tokens[0]: expected an object"},
      {"/added_tokens/0/id", 5, kInvalid, "has id 0 and id 5"},
      {"/added_tokens/2/id", 5, kInvalid, "id 5 is both"},
      {"/added_tokens/2/id", 1 << 24, kInvalid, "at most 16777215"},
      {"/added_tokens/1/content", "<｜begin▁of▁sentence｜>", kInvalid, "is there twice"},
      {"/added_tokens/0/content", "", kInvalid, "f.added_tokens[0].content"},
      {"/added_tokens/0/lstrip", "yes", kInvalid, "f.added_tokens[0].lstrip: expected a boolean"},
      {"/added_tokens/0/extra", 1, kInvalid, "f.added_tokens[0].extra: unknown key"},
  });
}

TEST(TokenizerRefusalTest, PreTokenizers) {
  const json byteLevel = {{"type", "ByteLevel"}};
  auto split = [&](json step) {
    return json{{"type", "Sequence"}, {"pretokenizers", {std::move(step), byteLevel}}};
  };
  auto regex = [&](const char *pattern) {
    return split({{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}});
  };
  const char *at = "/pre_tokenizer";
  expectRefusals({
      {at, nullptr, kUnsupported, "f.pre_tokenizer: expected a ByteLevel step"},
      {at, {{"type", "Digits"}}, kUnsupported, "expected a ByteLevel step"},
      {at, {{"type", "Metaspace"}}, kUnsupported, "f.pre_tokenizer.type: \"Metaspace\""},
      {at, split({{"type", "Whitespace"}}), kUnsupported, "pretokenizers[0].type: \"Whitespace\""},
      {at, split(byteLevel), kUnsupported, "ByteLevel after ByteLevel"},
      {at, {{"type", "ByteLevel"}, {"use_regex", 1}}, kInvalid, "use_regex: expected a boolean"},
      {at, {{"type", "ByteLevel"}, {"extra", 1}}, kInvalid, "extra: unknown key"},
      {at, split({{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Other"}}),
       kInvalid, "unknown behavior \"Other\""},
      {at, split({{"type", "Split"}, {"pattern", {{"Glob", "a"}}}, {"behavior", "Removed"}}),
       kInvalid, "pattern.Regex: missing"},
      {at, split({{"type", "Split"}, {"pattern", {{"String", ""}}}, {"behavior", "Removed"}}),
       kInvalid, "expected a pattern that is not empty"},
      {at, regex("("), kInvalid, "missing closing parenthesis"},
      {at, regex("\\w+"), kUnsupported, "'\\w' is not supported"},
      {at, regex("[a-z&&[^b]]"), kUnsupported, "'&&'"},
  });
}

TEST(TokenizerRefusalTest, PostProcessorsAndDecoders) {
  expectRefusals({
      {"/post_processor/type", "BertProcessing", kUnsupported, "post-processor \"BertProcessing\""},
      {"/post_processor/single", json::array(), kInvalid,
       "expected the text once, found it 0 times"},
      {"/post_processor/single/1/Sequence/id", "B", kInvalid, "expected \"A\", found \"B\""},
      {"/post_processor/single/0/SpecialToken/id", "x", kInvalid, "special_tokens.x: missing"},
      {"/post_processor/special_tokens/<｜begin▁of▁sentence｜>/ids",
       {9999},
       kInvalid,
       "id 9999 names no token"},
      {"/decoder", nullptr, kUnsupported, "f.decoder"},
      {"/decoder/type", "Metaspace", kUnsupported, "decoder \"Metaspace\" is not supported"},
      {"/decoder",
       {{"type", "Sequence"}, {"decoders", {{{"type", "Fuse"}}}}},
       kUnsupported,
       "decoder \"Sequence\" is not supported"},
  });
}

} // namespace
} // namespace epigraph
