#include "runtime/session/PagePool.h"

#include <set>

#include "gtest/gtest.h"

#include "runtime/session/BatchBuilder.h"

namespace epigraph {
namespace {

TEST(PagePool, HandsOutEachPageOnce) {
  PagePool pool(5);
  std::optional<PageLease> a = pool.take(2), b = pool.take(3);
  ASSERT_TRUE(a && b);
  EXPECT_FALSE(pool.take(1));
  std::set<int32_t> pages(a->get().begin(), a->get().end());
  pages.insert(b->get().begin(), b->get().end());
  EXPECT_EQ(pages, (std::set<int32_t>{0, 1, 2, 3, 4}));
  b.reset();
  EXPECT_EQ(pool.available(), 3);
  EXPECT_TRUE(pool.take(0));
}

TEST(PagePool, MovedLeasesGiveBackOnce) {
  PagePool pool(4);
  {
    std::vector<PageLease> leases;
    for (int i = 0; i < 4; ++i)
      leases.push_back(*pool.take(1));
    leases.erase(leases.begin() + 1);
    EXPECT_EQ(pool.available(), 1);
  }
  EXPECT_EQ(pool.available(), 4);
  EXPECT_EQ(pool.take(4)->get().size(), 4u);
}

TEST(PagePool, PagesForPositions) {
  EXPECT_EQ(PagePool::pagesFor(0), 0);
  EXPECT_EQ(PagePool::pagesFor(1), 1);
  EXPECT_EQ(PagePool::pagesFor(64), 1);
  EXPECT_EQ(PagePool::pagesFor(65), 2);
}

TEST(BatchBuilder, PutsChunksTogether) {
  BatchBuilder builder;
  const std::vector<int32_t> ids = {7, 8, 9}, pages = {4, 2}, otherPages = {5};
  for (int round = 0; round < 2; ++round) { // the second batch is as the first
    builder.clear();
    builder.add({ids, 63, pages, ChunkOutputs::Last});
    builder.add({absl::MakeConstSpan(ids).first(1), 0, otherPages, ChunkOutputs::None});
    builder.add({absl::MakeConstSpan(ids).first(2), 1, otherPages, ChunkOutputs::All});
    const StepBatch &batch = builder.finish();
    EXPECT_EQ(batch.ids, (std::vector<int32_t>{7, 8, 9, 7, 7, 8}));
    EXPECT_EQ(batch.positions, (std::vector<int32_t>{63, 64, 65, 0, 1, 2}));
    EXPECT_EQ(batch.sequence, (std::vector<int32_t>{0, 0, 0, 1, 2, 2}));
    EXPECT_EQ(batch.pageTableStride, 2);
    EXPECT_EQ(batch.pageTable, (std::vector<int32_t>{4, 2, 5, -1, 5, -1}));
    EXPECT_EQ(batch.outputRows, (std::vector<int32_t>{2, 4, 5}));
  }
}

TEST(BatchBuilder, AnEmptyBatch) {
  BatchBuilder builder;
  builder.clear();
  EXPECT_TRUE(builder.finish().ids.empty());
  EXPECT_EQ(builder.finish().pageTableStride, 0);
}

} // namespace
} // namespace epigraph
