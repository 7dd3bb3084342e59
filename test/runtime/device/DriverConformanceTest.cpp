// What every driver does, whatever its device.
#include "test/runtime/device/DriverConformance.h"

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

INSTANTIATE_TEST_SUITE_P(All, DriverConformance, testing::Values("cpu", "null", "cuda"),
                         [](const auto &info) { return std::string(info.param); });

std::vector<uint8_t> pattern(size_t bytes) {
  std::vector<uint8_t> values(bytes);
  for (size_t i = 0; i < bytes; ++i)
    values[i] = static_cast<uint8_t>(i * 131 + i / 251 + 1);
  return values;
}

TEST_P(DriverConformance, AllocatesZeroedMemoryAndCountsIt) {
  // A byte, odd ones, and more than pages of any size.
  for (const uint64_t bytes :
       {uint64_t{1}, uint64_t{100}, uint64_t{4097}, (uint64_t{5} << 20) + 3}) {
    // Twice: what the first has written must not be there for the second.
    for (int turn = 0; turn < 2; ++turn) {
      const std::unique_ptr<DeviceMemory> memory = allocate(bytes);
      EXPECT_EQ(memory->bytes(), bytes);
      EXPECT_EQ(pool.used(), bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->address()) % 256, 0u);
      EXPECT_EQ(download(*memory, bytes), std::vector<uint8_t>(bytes, 0));
      write(*memory, std::vector<uint8_t>(bytes, 0xa5));
    }
  }
  EXPECT_EQ(pool.used(), 0u);
}

TEST_P(DriverConformance, AllocatesNothing) {
  EXPECT_EQ(allocate(0)->address(), nullptr);
  EXPECT_TRUE(driver->mapConstants({}, "nothing").ok());
  EXPECT_TRUE(driver->allocateStaging(0, "nothing").ok());
}

TEST_P(DriverConformance, RefusesWhatIsOverTheCap) {
  const std::unique_ptr<DeviceMemory> held = allocate(kPoolBytes / 2);
  expectError(driver->allocate(kPoolBytes / 2 + 1, "caches"), absl::StatusCode::kResourceExhausted,
              "no memory for caches");
  EXPECT_TRUE(driver->allocate(kPoolBytes / 2, "caches").ok());
}

TEST_P(DriverConformance, KnowsWhatIsAvailable) {
  const absl::StatusOr<uint64_t> bytes = driver->availableBytes();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_GT(*bytes, kPoolBytes / 2);
}

TEST_P(DriverConformance, CopiesAnyNumberOfBytesToAnyAddress) {
  const std::vector<uint8_t> source = pattern(5000);
  for (const auto &[offset, bytes] :
       {std::pair<size_t, size_t>(0, 0), {0, 1}, {3, 1}, {1, 7}, {255, 257}, {13, 4987}}) {
    const std::unique_ptr<DeviceMemory> memory = allocate(5000);
    std::vector<uint8_t> expected(5000, 0);
    std::copy_n(source.begin(), bytes, expected.begin() + static_cast<ptrdiff_t>(offset));
    ASSERT_TRUE(driver->copyIn(memory->address() + offset, {source.data(), bytes}).ok());
    std::vector<uint8_t> part(bytes + 1, 9);
    ASSERT_TRUE(
        driver->copyOut(absl::MakeSpan(part).subspan(0, bytes), memory->address() + offset).ok());
    const std::vector<uint8_t> all = download(*memory, 5000);
    if (!computes())
      continue;
    EXPECT_EQ(all, expected) << bytes << " bytes at " << offset;
    EXPECT_EQ(part.back(), 9);
    part.pop_back();
    EXPECT_TRUE(std::equal(part.begin(), part.end(), source.begin()));
  }
}

TEST_P(DriverConformance, CopiesThroughStagingMemory) {
  absl::StatusOr<std::unique_ptr<DeviceMemory>> staging = driver->allocateStaging(3000, "a test");
  ASSERT_TRUE(staging.ok()) << staging.status();
  uint8_t *const host = (*staging)->address();
  EXPECT_EQ(std::vector<uint8_t>(host, host + 3000), std::vector<uint8_t>(3000, 0));
  const std::vector<uint8_t> source = pattern(3000);
  std::copy(source.begin(), source.end(), host);
  const std::unique_ptr<DeviceMemory> memory = allocate(3000);
  ASSERT_TRUE(driver->copyIn(memory->address(), {host, 3000}).ok());
  ASSERT_TRUE(driver->clear(memory->address() + 10, 5).ok());
  ASSERT_TRUE(driver->copyOut({host, 3000}, memory->address()).ok());
  ASSERT_TRUE(driver->synchronize().ok());
  std::vector<uint8_t> expected = source;
  std::fill_n(expected.begin() + 10, 5, 0);
  if (computes()) {
    EXPECT_EQ(std::vector<uint8_t>(host, host + 3000), expected);
  }
}

TEST_P(DriverConformance, CopiesWithinItsMemory) {
  const std::vector<uint8_t> source = pattern(600);
  const std::unique_ptr<DeviceMemory> from = upload(source);
  const std::unique_ptr<DeviceMemory> to = allocate(600);
  ASSERT_TRUE(driver->copy(to->address() + 1, from->address() + 7, 333).ok());
  ASSERT_TRUE(driver->copy(to->address(), to->address(), 600).ok());
  // Columns 5 to 12 of 20 rows of 30 bytes.
  const std::unique_ptr<DeviceMemory> columns = allocate(140);
  ASSERT_TRUE(driver->copyColumns(columns->address(), 7, from->address() + 5, 30, 7, 20).ok());
  const std::vector<uint8_t> copied = download(*to, 600), cut = download(*columns, 140);
  if (!computes())
    return;
  std::vector<uint8_t> expected(600, 0), expectedCut;
  std::copy_n(source.begin() + 7, 333, expected.begin() + 1);
  EXPECT_EQ(copied, expected);
  for (size_t row = 0; row < 20; ++row)
    expectedCut.insert(expectedCut.end(), &source[row * 30 + 5], &source[row * 30 + 12]);
  EXPECT_EQ(cut, expectedCut);
}

TEST_P(DriverConformance, HoldsConstants) {
  // The largest is copied in several pieces, where constants are copied.
  for (const size_t bytes : {size_t{1}, size_t{1000}, (size_t{40} << 20) + 3}) {
    std::vector<uint8_t> source = pattern(bytes);
    const std::vector<uint8_t> expected = source;
    absl::StatusOr<std::unique_ptr<DeviceMemory>> memory = driver->mapConstants(source, "weights");
    ASSERT_TRUE(memory.ok()) << memory.status();
    EXPECT_EQ(pool.used(), bytes);
    if (!driver->hostAddressable())
      std::fill(source.begin(), source.end(), 0); // no longer needed
    const std::vector<uint8_t> held = download(**memory, bytes);
    if (computes()) {
      EXPECT_EQ(held, expected);
    }
  }
  const std::vector<uint8_t> tooMany(kPoolBytes + 1);
  expectError(driver->mapConstants(tooMany, "weights"), absl::StatusCode::kResourceExhausted,
              "no memory for weights");
}

TEST_P(DriverConformance, RunsWorkInOrder) {
  loadKernels();
  setStep(100, 50);
  const std::unique_ptr<DeviceMemory> a = upload(numbers(50)), b = upload(numbers(51, -51));
  void *const addArguments[] = {a->address(), b->address()};
  void *const doubleArguments[] = {b->address()};
  const std::unique_ptr<PreparedLaunch> add = prepare(kAddRows, addArguments, 50);
  const std::unique_ptr<PreparedLaunch> twice = prepare(kDouble, doubleArguments, 50);
  // b = 2 (a + 150), a = b, b = a + 150, over and over: any other order gives other numbers.
  std::vector<int64_t> expected = numbers(50);
  for (int turn = 0; turn < 20; ++turn) {
    ASSERT_TRUE(driver->launch(*add, 50, {}).ok());
    ASSERT_TRUE(driver->launch(*twice, 50, {}).ok());
    ASSERT_TRUE(driver->copy(a->address(), b->address(), 50 * sizeof(int64_t)).ok());
    for (int64_t &value : expected)
      value = 2 * (value + 150);
  }
  ASSERT_TRUE(driver->launch(*add, 50, {}).ok());
  for (int64_t &value : expected)
    value += 150;
  expected.push_back(-1); // no block has reached it
  const std::vector<int64_t> result = download<int64_t>(*b, 51);
  if (computes()) {
    EXPECT_EQ(result, expected);
  }
}

TEST_P(DriverConformance, LaunchesOverNoRows) {
  loadKernels();
  setStep(1, 0);
  const std::unique_ptr<DeviceMemory> a = upload(numbers(4)), b = upload(numbers(4, 5));
  void *const arguments[] = {a->address(), b->address()};
  ASSERT_TRUE(driver->launch(*prepare(kAddRows, arguments, 4), 0, {}).ok());
  const std::vector<int64_t> result = download<int64_t>(*b, 4);
  if (computes()) {
    EXPECT_EQ(result, numbers(4, 5));
  }
}

TEST_P(DriverConformance, RefusesLibrariesThatCannotBeLoaded) {
  const TestFolder folder;
  expectError(driver->loadKernels((folder.path() / "none").string(), testKernels()),
              absl::StatusCode::kNotFound, "none");
  if (!computes())
    return;
  for (const char *content : {"", "no library"})
    expectError(driver->loadKernels(folder.write("text", content), testKernels()),
                absl::StatusCode::kFailedPrecondition, "cannot be loaded");
  std::vector<DeviceKernel> kernels = testKernels();
  kernels.push_back(simpleKernel("no_such_kernel"));
  expectError(driver->loadKernels(testLibrary(GetParam()), kernels),
              absl::StatusCode::kFailedPrecondition, "has no kernel 'no_such_kernel'");
}

TEST_P(DriverConformance, RefusesBindingsOfNoKernel) {
  loadKernels();
  expectError(driver->prepare(*library, bindingOf(2, {}, 1)), absl::StatusCode::kInternal,
              "launch of kernel 2 of a library with 2");
}

TEST_P(DriverConformance, TakesTheTime) {
  absl::StatusOr<std::unique_ptr<TimeMark>> from = driver->createMark(), to = driver->createMark();
  ASSERT_TRUE(from.ok() && to.ok()) << from.status() << to.status();
  const std::unique_ptr<DeviceMemory> memory = allocate(kPoolBytes / 4);
  ASSERT_TRUE(driver->place(**from).ok());
  for (int turn = 0; turn < 4; ++turn)
    ASSERT_TRUE(driver->clear(memory->address(), memory->bytes()).ok());
  ASSERT_TRUE(driver->place(**to).ok());
  const absl::StatusOr<std::chrono::nanoseconds> time = driver->between(**from, **to);
  ASSERT_TRUE(time.ok()) << time.status();
  // No machine clears 256 MiB in a microsecond, or takes a minute.
  EXPECT_LT(*time, std::chrono::minutes(1));
  if (computes()) {
    EXPECT_GT(*time, std::chrono::microseconds(1));
  }
}

TEST_P(DriverConformance, RecordsAndReplays) {
  if (!driver->records()) {
    expectError(driver->beginRecording(), absl::StatusCode::kUnimplemented, "records nothing");
    return;
  }
  loadKernels();
  setStep(7, 16);
  absl::StatusOr<std::unique_ptr<DeviceMemory>> in = driver->allocateStaging(128, "a test");
  absl::StatusOr<std::unique_ptr<DeviceMemory>> out = driver->allocateStaging(128, "a test");
  ASSERT_TRUE(in.ok() && out.ok());
  const std::unique_ptr<DeviceMemory> a = allocate(128), b = allocate(128);
  void *const addArguments[] = {a->address(), b->address()};
  void *const doubleArguments[] = {b->address()};
  const std::unique_ptr<PreparedLaunch> add = prepare(kAddRows, addArguments, 16);
  const std::unique_ptr<PreparedLaunch> twice = prepare(kDouble, doubleArguments, 16);

  ASSERT_TRUE(driver->beginRecording().ok());
  ASSERT_TRUE(driver->copyIn(a->address(), {(*in)->address(), 128}).ok());
  ASSERT_TRUE(driver->launch(*add, 16, {}).ok());
  ASSERT_TRUE(driver->launch(*twice, 16, {}).ok());
  ASSERT_TRUE(driver->copyOut({(*out)->address(), 128}, b->address()).ok());
  absl::StatusOr<std::unique_ptr<RecordedWork>> work = driver->endRecording();
  ASSERT_TRUE(work.ok()) << work.status();
  ASSERT_TRUE(driver->synchronize().ok());
  const auto *results = reinterpret_cast<const int64_t *>((*out)->address());
  EXPECT_EQ(results[0], 0); // nothing has run

  for (int turn = 0; turn < 3; ++turn) {
    // Copies read anew, and kernels find the rows and tokens of this step.
    const std::vector<int64_t> source = numbers(16, 1000 * turn);
    std::memcpy((*in)->address(), source.data(), 128);
    setStep(7 + turn, 16);
    ASSERT_TRUE(driver->replay(**work).ok());
    ASSERT_TRUE(driver->synchronize().ok());
    for (size_t i = 0; computes() && i < 16; ++i)
      ASSERT_EQ(results[i], 2 * (source[i] + 16 + 7 + turn)) << "turn " << turn << ", row " << i;
  }
}

TEST_P(DriverConformance, EndsNoRecordingThatHasNotBegun) {
  EXPECT_FALSE(driver->endRecording().ok());
}

TEST_P(DriverConformance, IsIdleWhenAllIsDone) {
  ASSERT_TRUE(driver->synchronize().ok());
  const absl::StatusOr<bool> idle = driver->isIdle();
  ASSERT_TRUE(idle.ok()) << idle.status();
  EXPECT_TRUE(*idle);
}

} // namespace
} // namespace epigraph
