// The page of a small schedule: every launch once, links that lead somewhere, text that is escaped.
#include "compiler/inspect/GraphPage.h"

#include <regex>
#include <set>

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kIr[] = R"(
#first = loc("model.layers.0.mlp")
#second = loc("model.layers.1.mlp")
module @tiny attributes {exec.limits = #exec.limits<batch_tokens = 16, sequences = 4, context = 64>} {
  ep.mesh @world {expert = 2 : i64, attention = #ep.attention<replicated>}
  exec.kernel @add(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
    %0 = epi.add %x, %x : tensor<?x8xbf16>
    exec.yield %0 : tensor<?x8xbf16>
  }
  func.func @main(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
    %0 = exec.launch @add(%x) {exec.buffers = [#exec.buffer<offset = 64, bytes = 256>]} : (tensor<?x8xbf16>) -> tensor<?x8xbf16> loc(#first)
    %1 = ep.all_reduce %0 on @world : tensor<?x8xbf16> loc(#first)
    %2 = exec.launch @add(%1) : (tensor<?x8xbf16>) -> tensor<?x8xbf16> loc(#second)
    %3 = ep.all_reduce %2 on @world : tensor<?x8xbf16> loc(#second)
    %4 = exec.launch @add(%3) : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
    return %4 : tensor<?x8xbf16>
  }
}
)";

size_t count(const std::string &text, const std::string &part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size())
    ++found;
  return found;
}

TEST(GraphPageTest, ShowsEveryOperationOnce) {
  absl::StatusOr<std::string> page = graphPageOfText(kIr, "tiny.mlir");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(count(*page, "data-node=\"launch\""), 3u);
  EXPECT_EQ(count(*page, "data-node=\"collective\""), 2u);
  EXPECT_EQ(count(*page, "class=\"layer\""), 2u);
  EXPECT_THAT(*page, HasSubstr("model.layers.0 to model.layers.1: 2 equal layers"));
  EXPECT_THAT(*page, HasSubstr("256 bytes at 64"));
  // 8 additions of one token; all rows sent, once there and once back.
  EXPECT_THAT(*page, HasSubstr("8 flop;"));
  EXPECT_THAT(*page, HasSubstr("sends 16 bytes in 2 messages"));
}

TEST(GraphPageTest, EveryLinkLeadsSomewhere) {
  absl::StatusOr<std::string> page = graphPageOfText(kIr, "tiny.mlir");
  ASSERT_TRUE(page.ok()) << page.status();
  std::set<std::string> anchors;
  const std::regex id("id=\"([^\"]*)\""), link("href=\"#([^\"]*)\"");
  for (std::sregex_iterator it(page->begin(), page->end(), id), end; it != end; ++it)
    EXPECT_TRUE(anchors.insert((*it)[1]).second) << (*it)[1];
  size_t links = 0;
  for (std::sregex_iterator it(page->begin(), page->end(), link), end; it != end; ++it, ++links)
    EXPECT_TRUE(anchors.count((*it)[1])) << (*it)[1];
  EXPECT_GE(links, 5u);
}

/// Lines of operations are those of the text that the page shows.
TEST(GraphPageTest, LinksTheLineOfTheOperation) {
  absl::StatusOr<std::string> page = graphPageOfText(kIr, "tiny.mlir");
  ASSERT_TRUE(page.ok()) << page.status();
  const std::regex node("data-node=\"launch\"[^]*?href=\"#(L[0-9]+)\"");
  std::smatch found;
  ASSERT_TRUE(std::regex_search(*page, found, node));
  const size_t line = page->find("id=\"" + found[1].str() + "\"");
  ASSERT_NE(line, std::string::npos);
  EXPECT_THAT(page->substr(line, page->find('\n', line) - line), HasSubstr("exec.launch @add"));
}

TEST(GraphPageTest, EscapesNames) {
  std::string ir = kIr;
  for (size_t at; (at = ir.find("layers.1.mlp")) != std::string::npos;)
    ir.replace(at, 12, "layers.1.<b>&");
  absl::StatusOr<std::string> page = graphPageOfText(ir, "tiny.mlir");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(*page, HasSubstr("layers.1.&lt;b&gt;&amp;"));
  EXPECT_THAT(*page, Not(HasSubstr("<b>")));
}

TEST(GraphPageTest, RefusesWhatIsNoModule) {
  expectError(graphPageOfText("module {", "broken.mlir"), absl::StatusCode::kInvalidArgument,
              "broken.mlir");
}

} // namespace
} // namespace epigraph
