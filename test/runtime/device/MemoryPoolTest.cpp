#include "runtime/device/MemoryPool.h"

#include <limits>

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

TEST(MemoryPool, GivesBackWhatIsReserved) {
  MemoryPool pool(100);
  {
    const absl::StatusOr<MemoryReservation> first = pool.reserve(60, "a");
    ASSERT_TRUE(first.ok());
    const absl::StatusOr<MemoryReservation> second = pool.reserve(40, "b");
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(pool.used(), 100u);
    expectError(pool.reserve(1, "one byte"), absl::StatusCode::kResourceExhausted, "one byte");
    expectError(pool.reserve(UINT64_MAX, "all"), absl::StatusCode::kResourceExhausted, "all");
  }
  EXPECT_EQ(pool.used(), 0u);
  EXPECT_TRUE(pool.reserve(100, "all of it").ok());
}

TEST(MemoryPool, MovedReservationsCountOnce) {
  MemoryPool pool(100);
  absl::StatusOr<MemoryReservation> first = pool.reserve(60, "a");
  MemoryReservation second = *std::move(first);
  MemoryReservation third;
  third = std::move(second);
  EXPECT_EQ(third.bytes(), 60u);
  EXPECT_EQ(pool.used(), 60u);
}

TEST(MemoryPool, ReadsSizes) {
  EXPECT_EQ(*parseBytes("1000"), 1000u);
  EXPECT_EQ(*parseBytes("8G"), uint64_t{8} << 30);
  EXPECT_EQ(*parseBytes("1.5GiB"), uint64_t{3} << 29);
  EXPECT_EQ(*parseBytes(" 512mb "), uint64_t{512} << 20);
  EXPECT_EQ(*parseBytes("2k"), 2048u);
  EXPECT_EQ(*parseBytes("1T"), uint64_t{1} << 40);
  for (const char *wrong :
       {"", "G", "-1", "0", "0.1", "8Q", "8GG", "inf", "nan", "1e30", "8 8", "x8"})
    EXPECT_FALSE(parseBytes(wrong).ok()) << wrong;
}

TEST(MemoryPool, WritesSizes) {
  EXPECT_EQ(formatBytes(0), "0 bytes");
  EXPECT_EQ(formatBytes(1023), "1023 bytes");
  EXPECT_EQ(formatBytes(1536), "1.50 KiB");
  EXPECT_EQ(formatBytes(uint64_t{5} << 40), "5.00 TiB");
  EXPECT_EQ(formatBytes(uint64_t{1} << 60), "1048576.00 TiB");
}

} // namespace
} // namespace epigraph
