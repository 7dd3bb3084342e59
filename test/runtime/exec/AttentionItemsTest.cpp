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
  const TokenItems made = tokenItems(tokens, 4);
  ASSERT_EQ(made.items.size(), 4u);
  EXPECT_THAT(numbers(made.items[0]), ElementsAre(0, 1, 0, 640, 0, 3, 0, 3));
  EXPECT_THAT(numbers(made.items[1]), ElementsAre(0, 1, 0, 640, 3, 4, 1, 3));
  EXPECT_THAT(numbers(made.items[2]), ElementsAre(0, 1, 0, 640, 7, 4, 2, 3));
  EXPECT_THAT(numbers(made.items[3]), ElementsAre(1, 1, 1, 0, 0, 1, 0, 1));
  EXPECT_THAT(made.partials, ElementsAre(0, 3, 3, 0));
}

/// What is to be merged costs more than two pages one after the other.
TEST(AttentionItemsTest, TwoPagesAreNotCut) {
  Tokens tokens;
  tokens.add(0, 127, 1);
  EXPECT_EQ(tokenItems(tokens, 66).items.size(), 1u);
}

/// The items that `sequences` contexts of `pages` pages are cut into among `wanted`.
size_t evenItems(int32_t sequences, int32_t pages, uint32_t wanted) {
  Tokens tokens;
  for (int32_t row = 0; row < sequences; ++row)
    tokens.add(row, 64 * pages - 1, 1);
  return tokenItems(tokens, wanted).items.size();
}

TEST(AttentionItemsTest, EvenContextsAreDoneInWholeRounds) {
  EXPECT_EQ(evenItems(1, 16, 66), 16u);
  EXPECT_EQ(evenItems(1, 128, 66), 64u); // 43 of three pages would take longer
  EXPECT_EQ(evenItems(16, 128, 66), 64u);
  EXPECT_EQ(evenItems(64, 64, 66), 64u); // two rounds of halves are no faster
  EXPECT_EQ(evenItems(128, 128, 66), 128u);
  EXPECT_EQ(evenItems(40, 8, 40), 40u);
  EXPECT_EQ(evenItems(1000, 20, 66), 1000u);
}

TEST(AttentionItemsTest, OneLongContextAmongMany) {
  Tokens tokens;
  for (int32_t row = 0; row < 100; ++row)
    tokens.add(row, row == 50 ? 64 * 500 : 100, 1);
  const TokenItems made = tokenItems(tokens, 66);
  EXPECT_GT(made.items.size(), 130u);
  EXPECT_EQ(made.partials[2 * 49 + 1], 0);
}

TEST(AttentionItemsTest, TilesAreOfOneSequence) {
  Tokens tokens;
  tokens.add(0, 100, 134); // positions 100 to 233: pages 0 to 3
  tokens.add(1, 5, 1);
  const std::vector<AttentionItem> items = tileItems(tokens, 2);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_THAT(numbers(items[0]), ElementsAre(0, 128, 0, 100, 0, 4, 0, 1)); // up to 227
  EXPECT_THAT(numbers(items[1]), ElementsAre(128, 6, 0, 228, 0, 4, 0, 1));
  EXPECT_THAT(numbers(items[2]), ElementsAre(134, 1, 1, 5, 0, 1, 0, 1));
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

/// Whatever the lengths: room for the items suffices, and each page of each context is read once,
/// each partial result written once.
TEST(AttentionItemsTest, CoverEveryContextOnce) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    Tokens tokens;
    const int32_t sequences = static_cast<int32_t>(random() % (round % 10 ? 40 : 600)) + 1;
    for (int32_t row = 0; row < sequences; ++row) {
      const int32_t position = static_cast<int32_t>(random() % (random() % 3 ? 300 : 100000));
      tokens.add(row, position, 1);
    }
    const uint32_t wanted = static_cast<uint32_t>(random() % 140) + 1;
    const TokenItems made = tokenItems(tokens, wanted);
    EXPECT_LE(made.items.size(), mostTokenItems(wanted, static_cast<uint64_t>(sequences)));
    std::vector<int32_t> next(static_cast<size_t>(sequences));
    int32_t partials = 0;
    for (const AttentionItem &item : made.items) {
      int32_t &page = next[static_cast<size_t>(item.token)];
      EXPECT_EQ(item.firstPage, page);
      EXPECT_GE(item.pages, 1);
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
