#include "runtime/device/Driver.h"

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

absl::Status recordsNothing(const Driver &driver) {
  return absl::UnimplementedError(
      absl::StrCat("the driver '", abslView(driver.name()), "' records nothing"));
}

} // namespace

absl::Status Driver::beginRecording() { return recordsNothing(*this); }

absl::StatusOr<std::unique_ptr<RecordedWork>> Driver::endRecording() {
  return recordsNothing(*this);
}

absl::Status Driver::replay(const RecordedWork &) { return recordsNothing(*this); }

} // namespace epigraph
