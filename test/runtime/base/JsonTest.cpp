#include "runtime/base/Json.h"

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using nlohmann::json;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(JsonTest, ParsesValues) {
  EXPECT_EQ(parseJson(R"({"a": [1, {"a": 2}, {"a": 3}], "b": {"a": null}})", "f").value(),
            json::parse(R"({"a": [1, {"a": 2}, {"a": 3}], "b": {"a": null}})"));
}

TEST(JsonTest, RefusesWhatIsNotStrict) {
  expectError(parseJson("{\"a\": }", "file.json"), kInvalid, "file.json: parse error at line 1");
  expectError(parseJson("", "f"), kInvalid, "f: parse error");
  expectError(parseJson("{} {}", "f"), kInvalid, "parse error");
  expectError(parseJson("\"\xff\"", "f"), kInvalid, "UTF-8");
  expectError(parseJson("[1e999]", "f"), kInvalid, "number overflow");
}

TEST(JsonTest, RefusesDuplicateKeysAtEveryLevel) {
  expectError(parseJson(R"({"a": 1, "a": 1})", "f"), kInvalid, "f: duplicate key \"a\"");
  expectError(parseJson(R"([{"b": {"c": 1, "d": [{}], "c": 2}}])", "f"), kInvalid, "\"c\"");
}

TEST(JsonTest, BoundsDepth) {
  auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parseJson(nested(64), "f").ok());
  expectError(parseJson(nested(65), "f"), kInvalid, "64 levels");
  expectError(parseJson(nested(1'000'000), "f"), kInvalid, "64 levels");
}

/// Reads one member of type T called "key" and returns the error.
template <typename T> absl::Status readError(const char *text) {
  json value = json::parse(text);
  absl::Status status;
  JsonObject object(value, "where", &status);
  T out{};
  object.read("key", out);
  return status;
}

TEST(JsonObjectTest, NamesTheKeyOfAnError) {
  expectError(readError<std::string>("{}"), kInvalid, "where.key: missing");
  expectError(readError<std::string>(R"({"key": 1})"), kInvalid,
              "expected a string, found a number");
  expectError(readError<bool>(R"({"key": "x"})"), kInvalid, "expected a boolean, found a string");
  expectError(readError<uint64_t>(R"({"key": -1})"), kInvalid, "found a negative number");
  expectError(readError<uint64_t>(R"({"key": 1.0})"), kInvalid, "expected an integer");
  expectError(readError<uint64_t>(R"({"key": null})"), kInvalid, "found null");
  expectError(readError<uint32_t>(R"({"key": 4294967296})"), kInvalid, "at most 4294967295");
  expectError(readError<std::vector<std::string>>(R"({"key": ["a", 1]})"), kInvalid, "element 1");
  expectError(readError<std::vector<uint64_t>>(R"({"key": {}})"), kInvalid, "expected an array");
  expectError(readError<std::vector<uint32_t>>(R"({"key": [4294967296]})"), kInvalid, "element 0");
  expectError(readError<std::string>("[]"), kInvalid, "where: expected an object, found an array");
}

TEST(JsonObjectTest, KeepsTheFirstError) {
  json value = json::parse(R"({"inner": {"a": 1}, "list": [{}, 5]})");
  absl::Status status;
  JsonObject object(value, "where", &status);
  std::string text;
  object.object("inner").read("b", text);
  object.read("missing", text);
  expectError(status, kInvalid, "where.inner.b: missing");

  status = absl::OkStatus();
  object.forEachObject("list", [](JsonObject) {});
  expectError(status, kInvalid, "where.list[1]: expected an object");
}

TEST(JsonObjectTest, RefusesUnknownKeysOnly) {
  json value = json::parse(R"({"a": 1, "b": null, "c": 3})");
  absl::Status status;
  JsonObject object(value, "where", &status);
  uint32_t number = 7;
  object.read("a", number);
  object.readOptional("b", number);
  EXPECT_EQ(number, 1u);
  object.ignore("c");
  object.refuseUnknownKeys();
  EXPECT_TRUE(status.ok()) << status;

  JsonObject other(value, "where", &status);
  other.ignore("a");
  other.ignore("b");
  other.refuseUnknownKeys();
  expectError(status, kInvalid, "where.c: unknown key");
}

} // namespace
} // namespace epigraph
