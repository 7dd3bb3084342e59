#include "runtime/device/Driver.h"

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

absl::Status recordsNothing(const Driver &driver) {
  return absl::UnimplementedError(
      absl::StrCat("the driver '", abslView(driver.name()), "' records nothing"));
}

absl::Status sharesNothing(const Driver &driver) {
  return absl::UnimplementedError(absl::StrCat("the driver '", abslView(driver.name()),
                                               "' shares no memory with other processes"));
}

} // namespace

absl::StatusOr<std::vector<uint8_t>> Driver::exportMemory(const DeviceMemory &) {
  return sharesNothing(*this);
}

absl::StatusOr<SharedMemory> Driver::allocateShared(uint64_t, const std::string &) {
  return sharesNothing(*this);
}

absl::StatusOr<std::unique_ptr<DeviceMemory>> Driver::importMemory(absl::Span<const uint8_t>) {
  return sharesNothing(*this);
}

absl::Status Driver::beginRecording() { return recordsNothing(*this); }

absl::StatusOr<std::unique_ptr<RecordedWork>> Driver::endRecording() {
  return recordsNothing(*this);
}

absl::Status Driver::replay(const RecordedWork &) { return recordsNothing(*this); }

} // namespace epigraph
