#include "compiler/import/Config.h"

#include <cmath>

#include "compiler/import/RopeConfig.h"
#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using nlohmann::json;

/// The problems of reading `text` with `read`.
template <typename Read> absl::Status problemsOf(const char *text, Read read) {
  json value = json::parse(text);
  ConfigProblems problems;
  read(ConfigObject(value, "config.json", problems));
  return problems.status();
}

TEST(ConfigTest, ReadsValuesAndFallbacks) {
  absl::Status status = problemsOf(
      R"({"i": 3, "n": 1.5, "b": true, "s": "x", "l": ["a"], "null": null, "ids": [1, 2], "id": 4})",
      [](const ConfigObject &config) {
        EXPECT_EQ(config.integer("i", {1, 3}), 3);
        EXPECT_EQ(config.integer("absent", {1, 3}, 2), 2);
        EXPECT_EQ(config.integer("null", {1, 3}, 2), 2);
        EXPECT_EQ(config.number("n", {0, 2}), 1.5);
        EXPECT_EQ(config.number("i", {0, 5}), 3.0); // An integer is a number.
        EXPECT_TRUE(config.flag("b", false));
        EXPECT_EQ(config.text("s", ""), "x");
        EXPECT_EQ(config.texts("l"), std::vector<std::string>{"a"});
        EXPECT_EQ(config.integers("ids", {0, 9}), (std::vector<int64_t>{1, 2}));
        EXPECT_EQ(config.integers("id", {0, 9}), std::vector<int64_t>{4});
        EXPECT_TRUE(config.integers("absent", {0, 9}).empty());
        EXPECT_FALSE(config.has("null"));
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(ConfigTest, NamesFileKeyFoundAndExpected) {
  absl::Status status = problemsOf(R"({"hidden_size": 1e3})", [](const ConfigObject &config) {
    EXPECT_EQ(config.integer("hidden_size", {1, 100}), 1); // A value in range goes on.
  });
  expectError(status, absl::StatusCode::kInvalidArgument,
              "config.json: hidden_size is 1000.0; expected an integer from 1 to 100");
}

TEST(ConfigTest, GathersAllProblems) {
  absl::Status status =
      problemsOf(R"({"a": 0, "b": "x", "c": 18446744073709551615, "d": [1], "o": 3})",
                 [](const ConfigObject &config) {
                   config.integer("a", {1, 9});
                   config.number("b", {1, 9});
                   config.integer("c", {1, 9});
                   config.integer("absent", {1, 9});
                   config.flag("d", true);
                   config.text("d", "");
                   config.texts("o");
                   config.object("o");
                 });
  for (const char *part : {"a is 0", "b is \"x\"", "c is 18446744073709551615", "absent is missing",
                           "d is [1]; expected true or false", "d is [1]; expected a string",
                           "o is 3; expected a list of strings", "o is 3; expected an object"})
    expectError(status, absl::StatusCode::kInvalidArgument, part);
}

TEST(ConfigTest, UnsupportedAloneIsUnimplemented) {
  absl::Status status = problemsOf(R"({"act": "gelu"})", [](const ConfigObject &config) {
    config.unsupported("act", "\"silu\" is");
  });
  expectError(status, absl::StatusCode::kUnimplemented, "act is \"gelu\", which is not supported");
}

TEST(ConfigTest, CutsLongValues) {
  json value = {{"key", std::string(5000, 'x')}};
  ConfigProblems problems;
  ConfigObject(value, "config.json", problems).flag("key", false);
  EXPECT_LT(problems.status().message().size(), 200u);
}

TEST(ConfigTest, RefusesFilesThatAreNoObjects) {
  TestFolder folder;
  expectError(readConfigFile(folder.write("a.json", "[1]")), absl::StatusCode::kInvalidArgument,
              "a.json: expected a JSON object");
  expectError(readConfigFile(folder.write("b.json", "{\"a\": 1, \"a\": 2}")),
              absl::StatusCode::kInvalidArgument, "duplicate key");
  expectError(readConfigFile(folder.path() / "c.json"), absl::StatusCode::kNotFound, "c.json");
}

RopeConfig readRope(const char *text, absl::Status *status) {
  json value = json::parse(text);
  ConfigProblems problems;
  RopeConfig rope = readRopeConfig(ConfigObject(value, "config.json", problems), 4096);
  *status = problems.status();
  return rope;
}

TEST(RopeConfigTest, BothSpellingsAgree) {
  const char *kTexts[] = {
      R"({"rope_theta": 5e5, "rope_scaling": {"type": "yarn", "factor": 40, "mscale": 1.0,
          "mscale_all_dim": 1.0, "original_max_position_embeddings": 1024, "beta_fast": 16}})",
      R"({"rope_parameters": {"rope_theta": 5e5, "rope_type": "yarn", "factor": 40, "mscale": 1.0,
          "mscale_all_dim": 1.0, "original_max_position_embeddings": 1024, "beta_fast": 16}})"};
  for (const char *text : kTexts) {
    absl::Status status;
    RopeConfig rope = readRope(text, &status);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(rope.theta, 5e5);
    ASSERT_TRUE(rope.yarn.has_value());
    EXPECT_EQ(rope.yarn->factor, 40);
    EXPECT_EQ(rope.yarn->original, 1024);
    EXPECT_EQ(rope.yarn->betaFast, 16);
    EXPECT_EQ(rope.yarn->betaSlow, 1);
    EXPECT_EQ(rope.magnitude(), 1.0);
    // (0.1 ln 40 + 1)^2, as DeepSeek-V3's scale of 0.1352 = 192^-0.5 * 1.8739.
    EXPECT_NEAR(rope.softmaxFactor(), 1.8738542, 1e-6);
  }
}

TEST(RopeConfigTest, Magnitude) {
  auto magnitude = [](const std::string &members) {
    absl::Status status;
    RopeConfig rope = readRope(
        (R"({"rope_scaling": {"type": "yarn", "factor": 4)" + members + "}}").c_str(), &status);
    EXPECT_TRUE(status.ok()) << status;
    return rope.magnitude();
  };
  double ln4 = std::log(4.0);
  EXPECT_NEAR(magnitude(""), 0.1 * ln4 + 1, 1e-12);
  EXPECT_NEAR(magnitude(R"(, "attention_factor": 0.5)"), 0.5, 1e-12);
  EXPECT_NEAR(magnitude(R"(, "mscale": 0.707, "mscale_all_dim": 0.5)"),
              (0.0707 * ln4 + 1) / (0.05 * ln4 + 1), 1e-12);
  EXPECT_NEAR(magnitude(R"(, "mscale": 0.707)"), 0.1 * ln4 + 1, 1e-12);
}

TEST(RopeConfigTest, DefaultsAndRefusals) {
  absl::Status status;
  RopeConfig rope = readRope(R"({"rope_scaling": null})", &status);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(rope.theta, 10000);
  EXPECT_FALSE(rope.yarn.has_value());
  EXPECT_EQ(rope.softmaxFactor(), 1);

  readRope(R"({"rope_scaling": {"rope_type": "longrope", "factor": 8}})", &status);
  expectError(status, absl::StatusCode::kUnimplemented, "rope_type is \"longrope\"");
  readRope(R"({"rope_scaling": {"type": "yarn"}})", &status);
  expectError(status, absl::StatusCode::kInvalidArgument, "factor is missing");
}

TEST(RopeConfigTest, YarnWithoutTruncation) {
  absl::Status status;
  RopeConfig rope =
      readRope(R"({"rope_scaling": {"type": "yarn", "factor": 2, "truncate": false}})", &status);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_FALSE(rope.yarn->truncate);
}

TEST(RopeConfigTest, Llama3) {
  absl::Status status;
  RopeConfig rope = readRope(
      R"({"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
          "high_freq_factor": 4, "original_max_position_embeddings": 8192}})",
      &status);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_TRUE(rope.llama3.has_value());
  EXPECT_FALSE(rope.yarn.has_value());
  EXPECT_EQ(rope.llama3->factor, 8);
  EXPECT_EQ(rope.llama3->original, 8192);
  EXPECT_EQ(rope.llama3->lowFreqFactor, 1);
  EXPECT_EQ(rope.llama3->highFreqFactor, 4);
  EXPECT_EQ(rope.magnitude(), 1);

  readRope(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
               "high_freq_factor": 4, "original_max_position_embeddings": 8192}})",
           &status);
  expectError(status, absl::StatusCode::kInvalidArgument, "high_freq_factor is 4; expected more");
  readRope(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8}})", &status);
  expectError(status, absl::StatusCode::kInvalidArgument, "low_freq_factor is missing");
}

TEST(RopeConfigTest, PartialFactor) {
  for (const char *text : {R"({"partial_rotary_factor": 0.5})",
                           R"({"rope_parameters": {"partial_rotary_factor": 0.5}})"}) {
    absl::Status status;
    EXPECT_EQ(readRope(text, &status).partialFactor, 0.5);
    EXPECT_TRUE(status.ok()) << status;
  }
}

} // namespace
} // namespace epigraph
