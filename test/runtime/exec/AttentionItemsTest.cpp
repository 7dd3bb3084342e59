#include "runtime/exec/AttentionItems.h"

#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace epigraph {
namespace {

using testing::ElementsAre;

struct Tokens {
  std::vector<int32_t> positions, sequence;

  void add(int32_t row, int32_t first, int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
      positions.push_back(first + i);
      sequence.push_back(row);
    }
  }
  operator AttentionTokens() const { return {positions, sequence}; }
};

struct TokenItems {
  std::vector<AttentionItem> items;
  std::vector<int32_t> partials;
};

TokenItems tokenItems(const Tokens &tokens, uint32_t wanted) {
  TokenItems result;
  result.items.resize(mostTokenItems(wanted, tokens.positions.size()));
  result.partials.resize(2 * tokens.positions.size());
  result.items.resize(makeTokenItems(tokens, wanted, absl::MakeSpan(result.items),
                                     absl::MakeSpan(result.partials)));
  return result;
}

std::vector<AttentionItem> tileItems(const Tokens &tokens, size_t sequences) {
  std::vector<AttentionItem> items(mostTileItems(tokens.positions.size(), sequences));
  items.resize(makeTileItems(tokens, absl::MakeSpan(items)));
  return items;
}

std::vector<int32_t> numbers(const AttentionItem &item) {
  return {item.token,     item.tokens, item.sequence, item.position,
          item.firstPage, item.pages,  item.partial,  item.partials};
}

TEST(AttentionItemsTest, OneShortSequenceIsOneItem) {
  Tokens tokens;
  tokens.add(2, 63, 1);
  const TokenItems made = tokenItems(tokens, 132);
  ASSERT_EQ(made.items.size(), 1u);
  EXPECT_THAT(numbers(made.items[0]), ElementsAre(0, 1, 2, 63, 0, 1, 0, 1));
  EXPECT_THAT(made.partials, ElementsAre(0, 0));
}

TEST(AttentionItemsTest, ALongContextFillsTheDevice) {
  Tokens tokens;
  tokens.add(0, 64 * 10, 1); // eleven pages
  tokens.add(1, 0, 1);
  const TokenItems made = tokenItems(tokens, 4); // of three pages
  ASSERT_EQ(made.items.size(), 5u);
  EXPECT_THAT(numbers(made.items[0]), ElementsAre(0, 1, 0, 640, 0, 2, 0, 4));
  EXPECT_THAT(numbers(made.items[1]), ElementsAre(0, 1, 0, 640, 2, 3, 1, 4));
  EXPECT_THAT(numbers(made.items[2]), ElementsAre(0, 1, 0, 640, 5, 3, 2, 4));
  EXPECT_THAT(numbers(made.items[3]), ElementsAre(0, 1, 0, 640, 8, 3, 3, 4));
  EXPECT_THAT(numbers(made.items[4]), ElementsAre(1, 1, 1, 0, 0, 1, 0, 1));
  EXPECT_THAT(made.partials, ElementsAre(0, 4, 4, 0));
}

TEST(AttentionItemsTest, ManySequencesAreNotCut) {
  Tokens tokens;
  for (int32_t row = 0; row < 40; ++row)
    tokens.add(row, 500, 1);
  const TokenItems made = tokenItems(tokens, 40);
  EXPECT_EQ(made.items.size(), 40u);
  for (const AttentionItem &item : made.items)
    EXPECT_EQ(item.partials, 1);
}

TEST(AttentionItemsTest, TilesAreOfOneSequence) {
  Tokens tokens;
  tokens.add(0, 100, 70); // positions 100 to 169: pages 0 to 2
  tokens.add(1, 5, 1);
  const std::vector<AttentionItem> items = tileItems(tokens, 2);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_THAT(numbers(items[0]), ElementsAre(0, 64, 0, 100, 0, 3, 0, 1)); // up to 163
  EXPECT_THAT(numbers(items[1]), ElementsAre(64, 6, 0, 164, 0, 3, 0, 1));
  EXPECT_THAT(numbers(items[2]), ElementsAre(70, 1, 1, 5, 0, 1, 0, 1));
}

TEST(AttentionItemsTest, KnowsOneTokenEach) {
  Tokens tokens;
  EXPECT_TRUE(hasOneTokenEach(tokens));
  tokens.add(3, 7, 1);
  tokens.add(1, 9, 1);
  EXPECT_TRUE(hasOneTokenEach(tokens));
  tokens.add(1, 10, 1);
  EXPECT_FALSE(hasOneTokenEach(tokens));
}

/// Whatever the lengths: room for the items suffices, no item is longer than its share, and each
/// page of each context is read once, each partial result written once.
TEST(AttentionItemsTest, CoverEveryContextOnce) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    Tokens tokens;
    const int32_t sequences = static_cast<int32_t>(random() % 40) + 1;
    int64_t pages = 0;
    for (int32_t row = 0; row < sequences; ++row) {
      const int32_t position = static_cast<int32_t>(random() % (random() % 3 ? 300 : 100000));
      tokens.add(row, position, 1);
      pages += position / 64 + 1;
    }
    const uint32_t wanted = static_cast<uint32_t>(random() % 140) + 1;
    const TokenItems made = tokenItems(tokens, wanted);
    const int64_t longest = (pages + wanted - 1) / wanted;
    std::vector<int32_t> next(static_cast<size_t>(sequences));
    int32_t partials = 0;
    for (const AttentionItem &item : made.items) {
      int32_t &page = next[static_cast<size_t>(item.token)];
      EXPECT_EQ(item.firstPage, page);
      EXPECT_GE(item.pages, 1);
      EXPECT_LE(item.pages, longest);
      page += item.pages;
      if (item.partials > 1)
        EXPECT_EQ(item.partial, partials++);
    }
    EXPECT_LE(static_cast<uint64_t>(partials), mostPartials(wanted));
    for (int32_t row = 0; row < sequences; ++row)
      EXPECT_EQ(next[static_cast<size_t>(row)],
                tokens.positions[static_cast<size_t>(row)] / 64 + 1);
  }
}

} // namespace
} // namespace epigraph
