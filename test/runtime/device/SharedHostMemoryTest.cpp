// Memory of the host that processes share.
#include "runtime/device/SharedHostMemory.h"

#include <algorithm>
#include <memory>

#include <sys/wait.h>
#include <unistd.h>

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

constexpr uint64_t kBytes = 3 << 20;

TEST(SharedHostMemory, IsZeroAndSeenByOtherProcesses) {
  absl::StatusOr<SharedHostMemory> memory = SharedHostMemory::create(kBytes, "a test");
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->bytes(), kBytes);
  EXPECT_TRUE(
      std::all_of(memory->data(), memory->data() + kBytes, [](uint8_t x) { return x == 0; }));
  const SharedHostMemory::Name name = memory->name();
  memory->data()[kBytes - 1] = 7;
  const pid_t child = fork();
  if (child == 0) {
    // Not as the mapping that fork has copied.
    absl::StatusOr<SharedHostMemory> opened = SharedHostMemory::open(name);
    if (!opened.ok() || opened->bytes() != kBytes || opened->data() == memory->data())
      _exit(1);
    opened->data()[0] = opened->data()[kBytes - 1] + 1;
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(memory->data()[0], 8);
}

TEST(SharedHostMemory, OutlivesWhoMadeIt) {
  auto memory = std::make_unique<absl::StatusOr<SharedHostMemory>>(
      SharedHostMemory::create(kBytes, "a test"));
  ASSERT_TRUE(memory->ok()) << memory->status();
  (*memory)->data()[5] = 5;
  absl::StatusOr<SharedHostMemory> opened = SharedHostMemory::open((*memory)->name());
  ASSERT_TRUE(opened.ok()) << opened.status();
  memory.reset();
  EXPECT_EQ(opened->data()[5], 5);
}

TEST(SharedHostMemory, RefusesWhatIsNotThere) {
  absl::StatusOr<SharedHostMemory> memory = SharedHostMemory::create(kBytes, "a test");
  ASSERT_TRUE(memory.ok()) << memory.status();
  SharedHostMemory::Name name = memory->name();
  name.bytes = kBytes + 1;
  expectError(SharedHostMemory::open(name), absl::StatusCode::kUnavailable, "it is not there");
  name = memory->name();
  name.file = 100000;
  expectError(SharedHostMemory::open(name), absl::StatusCode::kUnavailable,
              "cannot reach the memory that process");
  name.file = 0; // Of whatever kind, it is no memory.
  EXPECT_FALSE(SharedHostMemory::open(name).ok());
}

TEST(SharedHostMemory, SaysWhenTheHostHasNotAsMuch) {
  expectError(SharedHostMemory::create(uint64_t{1} << 46, "exchanges of rank 0"),
              absl::StatusCode::kResourceExhausted, "no memory for exchanges of rank 0");
}

} // namespace
} // namespace epigraph
