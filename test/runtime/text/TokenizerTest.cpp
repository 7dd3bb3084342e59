// Ids and texts against what the `tokenizers` library recorded (data/README.md, test/goldens), and
// what no recording can show: bad input, long input.
#include "runtime/text/Tokenizer.h"

#include <chrono>

#include "nlohmann/json.hpp"

#include "runtime/text/Normalizer.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

const std::string kSource = EPIGRAPH_SOURCE_DIR;
const std::string kData = kSource + "/test/runtime/text/data/";

Tokenizer loadSmallModel() {
  absl::StatusOr<Tokenizer> tokenizer =
      Tokenizer::load(kSource + "/models/tiny-deepseek-v3/tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return std::move(*tokenizer);
}

std::string decodeStreaming(const Tokenizer &tokenizer, const Ids &ids, bool skipSpecial) {
  StreamDecoder decoder(tokenizer, skipSpecial);
  std::string text;
  for (int32_t id : ids)
    text += decoder.push(id);
  return text + decoder.finish();
}

class TokenizerVectorTest : public testing::TestWithParam<const char *> {};

TEST_P(TokenizerVectorTest, EqualsTheLibrary) {
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::load(kData + GetParam() + ".json");
  if (GetParam() == std::string("qwen") && !canNormalize()) {
    expectError(tokenizer, absl::StatusCode::kUnimplemented, "NFC needs libutf8proc");
    GTEST_SKIP() << "this build has no libutf8proc";
  }
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  json expected = json::parse(contentOf(kData + GetParam() + ".expected.json"));
  ASSERT_GE(expected["encode"].size(), 100u);
  for (const json &vector : expected["encode"]) {
    std::string text = vector["text"];
    EXPECT_EQ(tokenizer->encode(text).value(), vector["ids"].get<Ids>()) << vector;
    EXPECT_EQ(tokenizer->encode(text, /*addSpecial=*/false).value(), vector["plain_ids"].get<Ids>())
        << vector;
  }
  ASSERT_GE(expected["decode"].size(), 100u);
  for (const json &vector : expected["decode"]) {
    Ids ids = vector["ids"];
    EXPECT_EQ(tokenizer->decode(ids), vector["text"].get<std::string>()) << vector;
    EXPECT_EQ(tokenizer->decode(ids, /*skipSpecial=*/false), vector["full_text"].get<std::string>())
        << vector;
    EXPECT_EQ(decodeStreaming(*tokenizer, ids, true), vector["text"].get<std::string>()) << vector;
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, TokenizerVectorTest,
                         testing::Values("deepseek", "llama3", "qwen", "every_option"),
                         [](const auto &info) { return std::string(info.param); });

TEST(TokenizerTest, TokenizesTheGoldenPrompts) {
  Tokenizer tokenizer = loadSmallModel();
  json goldens = json::parse(contentOf(kSource + "/test/goldens/tiny-deepseek-v3/greedy.json"));
  ASSERT_FALSE(goldens.empty());
  for (const json &golden : goldens) {
    EXPECT_EQ(tokenizer.encode(golden["prompt"].get<std::string>()).value(),
              golden["input_ids"].get<Ids>());
    EXPECT_EQ(tokenizer.decode(golden["greedy_ids"].get<Ids>()), golden["text"].get<std::string>());
  }
}

TEST(TokenizerTest, TokenizesTheEvaluationText) {
  Tokenizer tokenizer = loadSmallModel();
  std::string text = contentOf(kSource + "/test/goldens/tiny-deepseek-v3/eval.txt");
  Ids ids = tokenizer.encode(text, /*addSpecial=*/false).value();
  EXPECT_EQ(ids.size(), 31582u);
  EXPECT_TRUE(tokenizer.decode(ids, /*skipSpecial=*/false) == text); // Too long to print.
}

TEST(TokenizerTest, KnowsItsVocabulary) {
  Tokenizer tokenizer = loadSmallModel();
  EXPECT_EQ(tokenizer.vocabSize(), 2048);
  EXPECT_EQ(tokenizer.idOf("<|end_of_sentence|>"), 1);
  EXPECT_EQ(tokenizer.tokenOf(1), "<|end_of_sentence|>");
  EXPECT_TRUE(tokenizer.isSpecial(1));
  EXPECT_EQ(tokenizer.idOf("!"), 3);
  EXPECT_FALSE(tokenizer.isSpecial(3));
  EXPECT_EQ(tokenizer.bytesOf(*tokenizer.idOf("Ġ")), " ");
  EXPECT_EQ(tokenizer.idOf(" "), std::nullopt);
  for (int32_t id : {-1, 2048, 1 << 30}) {
    EXPECT_EQ(tokenizer.tokenOf(id), std::nullopt);
    EXPECT_FALSE(tokenizer.isSpecial(id));
    EXPECT_EQ(tokenizer.bytesOf(id), "");
  }
}

TEST(TokenizerTest, RefusesTextThatIsNotUtf8) {
  Tokenizer tokenizer = loadSmallModel();
  for (std::string_view text : {"ab\xff", "ab\xc0\x80", "ab\xed\xa0\x80", "ab\xe4\xb8"})
    expectError(tokenizer.encode(text), absl::StatusCode::kInvalidArgument,
                "not valid UTF-8 at byte 2");
  EXPECT_TRUE(tokenizer.encode(std::string_view("a\0b", 3)).ok());
}

/// Something quadratic would need many minutes here.
TEST(TokenizerTest, TakesLongTextsWithoutBorders) {
  Tokenizer small = loadSmallModel();
  Tokenizer deepseek = std::move(*Tokenizer::load(kData + "deepseek.json"));
  auto start = std::chrono::steady_clock::now();
  for (const char *unit : {"a", " ", "\n", "=", "1", "\u4e2d", "ab ", "\u0301"}) {
    std::string text;
    while (text.size() < 300'000)
      text += unit;
    for (const Tokenizer *tokenizer : {&small, &deepseek}) {
      absl::StatusOr<Ids> ids = tokenizer->encode(text, /*addSpecial=*/false);
      ASSERT_TRUE(ids.ok()) << unit << ": " << ids.status();
      EXPECT_TRUE(tokenizer->decode(*ids) == text) << unit;
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(120));
}

TEST(StreamDecoderTest, NeverSplitsACharacter) {
  Tokenizer tokenizer = loadSmallModel();
  // The small vocabulary has no token for this character: four tokens of a byte each.
  Ids ids = tokenizer.encode("x😀y", /*addSpecial=*/false).value();
  ASSERT_EQ(ids.size(), 6u);
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(ids[0]), "x");
  EXPECT_EQ(decoder.push(ids[1]), "");
  EXPECT_EQ(decoder.push(ids[2]), "");
  EXPECT_EQ(decoder.push(ids[3]), "");
  EXPECT_EQ(decoder.push(ids[4]), "😀");
  EXPECT_EQ(decoder.push(ids[5]), "y");
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoderTest, ReplacesWhatIsNoCharacter) {
  Tokenizer tokenizer = loadSmallModel();
  Ids ids = tokenizer.encode("😀", /*addSpecial=*/false).value();
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.push(*tokenizer.idOf("a")), "\uFFFDa"); // The character was not finished.
  EXPECT_EQ(decoder.push(ids[3]), "\uFFFD");                // It goes on without a start.
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.push(*tokenizer.idOf("a")), "a"); // Used again.
}

TEST(StreamDecoderTest, SkipsSpecialTokensOnRequest) {
  Tokenizer tokenizer = loadSmallModel();
  EXPECT_EQ(StreamDecoder(tokenizer).push(0), "");
  EXPECT_EQ(StreamDecoder(tokenizer, /*skipSpecial=*/false).push(0), "<|begin_of_sentence|>");
}

} // namespace
} // namespace epigraph
