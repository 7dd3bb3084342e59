// Files of loads: what is read, and that anything else is refused with its place.
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "passes/partition/LoadFile.h"

namespace epigraph {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusalOf(llvm::StringRef text) {
  llvm::Expected<ExpertLoads> loads = parseExpertLoads(text);
  return loads ? "" : llvm::toString(loads.takeError());
}

TEST(LoadFile, ReadsCountsByLayer) {
  auto loads = parseExpertLoads(R"({"version": 1, "format": "epigraph-expert-load",
    "layers": {"a": [1, 0, 9007199254740992], "b": [3]}})");
  ASSERT_TRUE(static_cast<bool>(loads)) << llvm::toString(loads.takeError());
  EXPECT_EQ(loads->size(), 2u);
  EXPECT_THAT(loads->lookup("a"), ElementsAre(1, 0, 9007199254740992.0));
}

TEST(LoadFile, RefusesAnythingElse) {
  const std::pair<const char *, const char *> cases[] = {
      {"", "EOF"},
      {"[]", "expected an object"},
      {R"({"format": "loads", "version": 1, "layers": {}})", "format: expected"},
      {R"({"format": "epigraph-expert-load", "layers": {}})",
       "version: this build reads version 1"},
      {R"({"format": "epigraph-expert-load", "version": 1})", "layers: expected an object"},
      {R"({"format": "epigraph-expert-load", "version": 1, "layers": {}, "x": 1})", "unknown key"},
      {R"({"format": "epigraph-expert-load", "version": 1, "layers": {"a": []}})", "1 to 65535"},
      {R"({"format": "epigraph-expert-load", "version": 1, "layers": {"a": 3}})", "1 to 65535"},
      {R"({"format": "epigraph-expert-load", "version": 1, "layers": {"a": [1, 0.5]}})",
       "\"a\"[1]"},
      {R"({"format": "epigraph-expert-load", "version": 1, "layers": {"a": [-1]}})", "\"a\"[0]"},
      {R"({"format": "epigraph-expert-load", "version": 1, "layers": {"a": ["1"]}})", "\"a\"[0]"},
      {R"({"format": "epigraph-expert-load", "version": 1, "layers": {"a": [9007199254740993]}})",
       "2^53"}};
  for (const auto &[text, expected] : cases)
    EXPECT_THAT(refusalOf(text), HasSubstr(expected)) << text;
}

} // namespace
} // namespace epigraph
