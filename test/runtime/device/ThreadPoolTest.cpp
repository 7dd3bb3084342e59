#include "runtime/device/ThreadPool.h"

#include <chrono>
#include <memory>
#include <set>
#include <thread>

#include "gtest/gtest.h"

namespace epigraph {
namespace {

struct Counts {
  explicit Counts(int64_t tiles) : tiles(tiles), seen(new std::atomic<int>[tiles]()) {}
  const int64_t tiles;
  std::unique_ptr<std::atomic<int>[]> seen;
};

void count(const void *context, int64_t begin, int64_t end) {
  const Counts &counts = *static_cast<const Counts *>(context);
  for (int64_t tile = begin; tile < end; ++tile)
    counts.seen[tile].fetch_add(1, std::memory_order_relaxed);
}

TEST(ThreadPool, RunsEachTileOnce) {
  for (const int threads : {1, 2, 5})
    for (const bool spin : {false, true}) {
      ThreadPool pool(threads, spin);
      EXPECT_EQ(pool.threads(), threads);
      for (const int64_t tiles : {0, 1, 3, 16, 17, 12345}) {
        const Counts counts(tiles);
        pool.run(tiles, count, &counts);
        for (int64_t tile = 0; tile < tiles; ++tile)
          ASSERT_EQ(counts.seen[tile].load(), 1) << tile << " of " << tiles;
      }
    }
}

struct Sum {
  const int64_t *source;
  int64_t *result;
};

void addOne(const void *context, int64_t begin, int64_t end) {
  const Sum &sum = *static_cast<const Sum *>(context);
  for (int64_t tile = begin; tile < end; ++tile)
    sum.result[tile] = sum.source[tile] + 1;
}

/// Many short launches, each reading what the one before wrote, on plain memory: a tile that runs
/// twice, late or on another launch's arguments shows as a wrong number.
TEST(ThreadPool, LaunchesFollowEachOther) {
  ThreadPool pool(4, true);
  constexpr int64_t kTiles = 100;
  std::vector<int64_t> a(kTiles), b(kTiles);
  for (int round = 0; round < 10000; ++round) {
    const Sum sum{a.data(), b.data()};
    pool.run(kTiles, addOne, &sum);
    a.swap(b);
  }
  EXPECT_EQ(a, std::vector<int64_t>(kTiles, 10000));
}

TEST(ThreadPool, WorkersWakeAfterTheyParked) {
  ThreadPool pool(3, true);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const Counts counts(64);
    pool.run(64, count, &counts);
    for (int tile = 0; tile < 64; ++tile)
      ASSERT_EQ(counts.seen[tile].load(), 1);
  }
}

TEST(ThreadPool, EndsWithoutALaunch) { const ThreadPool pool(4, true); }

} // namespace
} // namespace epigraph
