// The artifact's tokenizer.json puts BOS first where either file of the checkpoint says so.
#include "compiler/driver/PackagedTokenizer.h"

#include "nlohmann/json.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace epigraph {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kPlain[] =
    R"({"added_tokens": [{"id": 7, "content": "<s>"}], "model": {"vocab": {"a": 0}},
        "post_processor": {"type": "ByteLevel"}})";
constexpr char kWithTemplate[] =
    R"({"added_tokens": [{"id": 7, "content": "<s>"}],
        "post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"},
          {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}}]}]}})";
constexpr char kAddsBos[] = R"({"add_bos_token": true, "bos_token": {"content": "<s>"}})";

TEST(PackagedTokenizerTest, KeepsTheBytesWhereNothingIsAsked) {
  EXPECT_EQ(packagedTokenizer(kPlain, "").value(), kPlain);
  EXPECT_EQ(packagedTokenizer(kPlain, R"({"add_bos_token": false, "bos_token": "<s>"})").value(),
            kPlain);
  EXPECT_EQ(packagedTokenizer(kPlain, R"({"bos_token": "<s>"})").value(), kPlain);
}

TEST(PackagedTokenizerTest, KeepsTheBytesWhereATemplateDoesIt) {
  EXPECT_EQ(packagedTokenizer(kWithTemplate, kAddsBos).value(), kWithTemplate);
}

TEST(PackagedTokenizerTest, AddsATemplateBehindThePostProcessor) {
  const json packaged = json::parse(packagedTokenizer(kPlain, kAddsBos).value());
  const json &parts = packaged.at("post_processor").at("processors");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].at("type"), "ByteLevel");
  EXPECT_EQ(parts[1].at("single")[0].at("SpecialToken").at("id"), "<s>");
  EXPECT_EQ(parts[1].at("special_tokens").at("<s>").at("ids"), json::array({7}));
}

TEST(PackagedTokenizerTest, FindsBosInTheVocabulary) {
  const json packaged =
      json::parse(packagedTokenizer(R"({"model": {"vocab": {"a": 3}}})",
                                    R"({"add_bos_token": true, "bos_token": "a"})")
                      .value());
  EXPECT_EQ(packaged.at("post_processor").at("special_tokens").at("a").at("ids"), json::array({3}));
}

TEST(PackagedTokenizerTest, RefusesWhatDoesNotFit) {
  auto message = [](const char *tokenizer, const char *config) {
    return std::string(packagedTokenizer(tokenizer, config).status().message());
  };
  EXPECT_THAT(message(kPlain, R"({"add_bos_token": true, "bos_token": "<bos>"})"),
              HasSubstr("is not a token of tokenizer.json"));
  EXPECT_THAT(message(kPlain, R"({"add_bos_token": true})"), HasSubstr("bos_token names no token"));
  EXPECT_THAT(message(kPlain, "{"), HasSubstr("tokenizer_config.json"));
  EXPECT_THAT(message("[", kAddsBos), HasSubstr("tokenizer.json"));
}

} // namespace
} // namespace epigraph
