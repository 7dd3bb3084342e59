// What the driver without a device does beyond what all drivers do: it writes down and it checks.
#include "runtime/device/NullDriver.h"

#include "test/runtime/base/TestFiles.h"

namespace epigraph {
namespace {

using testing::ElementsAre;

TEST(NullDriver, WritesDownWhatItIsAskedFor) {
  MemoryPool pool(1000);
  NullDriver driver(pool);
  const TestFolder folder;
  const DeviceKernel kernel{"gate", {}};
  absl::StatusOr<std::unique_ptr<KernelLibrary>> library =
      driver.loadKernels(folder.write("kernels", ""), {&kernel, 1});
  ASSERT_TRUE(library.ok()) << library.status();
  absl::StatusOr<std::unique_ptr<DeviceMemory>> memory = driver.allocate(100, "a test");
  ASSERT_TRUE(memory.ok());
  uint8_t *const address = (*memory)->address();
  void *const arguments[] = {address};
  LaunchBinding binding;
  binding.arguments = arguments;
  absl::StatusOr<std::unique_ptr<PreparedLaunch>> launch = driver.prepare(**library, binding);
  ASSERT_TRUE(launch.ok()) << launch.status();

  ASSERT_TRUE(driver.beginRecording().ok());
  ASSERT_TRUE(driver.launch(**launch, 5, {}).ok());
  ASSERT_TRUE(driver.clear(address, 64).ok());
  absl::StatusOr<std::unique_ptr<RecordedWork>> work = driver.endRecording();
  ASSERT_TRUE(work.ok());
  EXPECT_THAT(driver.work(), ElementsAre());
  const std::vector<uint8_t> source(100, 1);
  ASSERT_TRUE(driver.copyIn(address, source).ok());
  ASSERT_TRUE(driver.replay(**work).ok());
  ASSERT_TRUE(driver.synchronize(Driver::kNoDeadline).ok());
  EXPECT_THAT(driver.work(),
              ElementsAre("copyIn 100", "launch gate 5 rows", "clear 64", "synchronize"));
  driver.forgetWork();
  EXPECT_THAT(driver.work(), ElementsAre());
}

TEST(NullDriver, RefusesWhatLiesOutsideOfItsMemory) {
  MemoryPool pool(1000);
  NullDriver driver(pool);
  std::vector<uint8_t> host(101);
  absl::StatusOr<std::unique_ptr<DeviceMemory>> memory = driver.allocate(100, "a test");
  ASSERT_TRUE(memory.ok());
  uint8_t *const address = (*memory)->address();
  const absl::StatusCode invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_TRUE(driver.copyIn(address, absl::MakeSpan(host).subspan(0, 100)).ok());
  expectError(driver.copyIn(address, host), invalid, "result of copyIn: 101 bytes");
  expectError(driver.copyOut(absl::MakeSpan(host).subspan(0, 2), address + 99), invalid,
              "source of copyOut: 2 bytes");
  expectError(driver.clear(address - 1, 1), invalid, "result of clear");
  expectError(driver.copy(host.data(), address, 1), invalid, "result of copy");
  expectError(driver.copyColumns(address, 10, address, 50, 10, 3), invalid,
              "source of copyColumns: 110 bytes");
  memory->reset();
  expectError(driver.clear(address, 1), invalid, "result of clear"); // freed
}

} // namespace
} // namespace epigraph
