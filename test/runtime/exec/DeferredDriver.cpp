#include "test/runtime/exec/DeferredDriver.h"

#include <dlfcn.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "test/runtime/exec/DeferredLaunch.h"

namespace epigraph {
namespace {

class HeapMemory : public DeviceMemory {
public:
  HeapMemory(size_t size, MemoryReservation reservation)
      : room(size + kAlignment), size(size), reservation(std::move(reservation)) {}
  uint8_t *address() const override {
    if (size == 0)
      return nullptr;
    const uintptr_t base = reinterpret_cast<uintptr_t>(room.data());
    return reinterpret_cast<uint8_t *>((base + kAlignment - 1) / kAlignment * kAlignment);
  }
  size_t bytes() const override { return size; }

private:
  static constexpr size_t kAlignment = 256;
  std::vector<uint8_t> room;
  size_t size;
  MemoryReservation reservation;
};

class DeferredKernels : public KernelLibrary {
public:
  ~DeferredKernels() override { dlclose(handle); }
  void *handle = nullptr;
  std::vector<DeviceKernel> kernels;
};

class Recording : public RecordedWork {
public:
  std::vector<std::function<absl::Status()>> pieces;
};

class Mark : public TimeMark {};

} // namespace

absl::StatusOr<std::unique_ptr<DeviceMemory>> DeferredDriver::allocate(uint64_t bytes,
                                                                       const std::string &purpose) {
  absl::StatusOr<MemoryReservation> reservation = pool.reserve(bytes, purpose);
  if (!reservation.ok())
    return reservation.status();
  return std::make_unique<HeapMemory>(bytes, *std::move(reservation));
}

absl::StatusOr<std::unique_ptr<DeviceMemory>> DeferredDriver::allocateStaging(uint64_t bytes,
                                                                              const std::string &) {
  return std::make_unique<HeapMemory>(bytes, MemoryReservation());
}

absl::StatusOr<std::unique_ptr<DeviceMemory>>
DeferredDriver::mapConstants(absl::Span<const uint8_t> bytes, const std::string &purpose) {
  absl::StatusOr<std::unique_ptr<DeviceMemory>> memory = allocate(bytes.size(), purpose);
  if (memory.ok())
    std::memcpy((*memory)->address(), bytes.data(), bytes.size());
  return memory;
}

absl::Status DeferredDriver::defer(Work piece) {
  (recording ? recorded : work).push_back(std::move(piece));
  return absl::OkStatus();
}

absl::Status DeferredDriver::copyIn(uint8_t *result, absl::Span<const uint8_t> source) {
  asked.copiedIn = source.size();
  return copy(result, source.data(), source.size());
}

absl::Status DeferredDriver::copyOut(absl::Span<uint8_t> result, const uint8_t *source) {
  asked.copiedOut += result.size();
  return copy(result.data(), source, result.size());
}

absl::Status DeferredDriver::copy(uint8_t *result, const uint8_t *source, size_t bytes) {
  return defer([=] {
    std::memmove(result, source, bytes);
    return absl::OkStatus();
  });
}

absl::Status DeferredDriver::copyColumns(uint8_t *result, size_t resultStride,
                                         const uint8_t *source, size_t sourceStride, size_t width,
                                         size_t rows) {
  return defer([=] {
    for (size_t row = 0; row < rows; ++row)
      std::memcpy(result + row * resultStride, source + row * sourceStride, width);
    return absl::OkStatus();
  });
}

absl::Status DeferredDriver::clear(uint8_t *result, size_t bytes) {
  return defer([=] {
    std::memset(result, 0, bytes);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::unique_ptr<KernelLibrary>>
DeferredDriver::loadKernels(const std::string &path, absl::Span<const DeviceKernel> kernels) {
  auto library = std::make_unique<DeferredKernels>();
  library->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library->handle)
    return absl::FailedPreconditionError(dlerror());
  library->kernels.assign(kernels.begin(), kernels.end());
  return library;
}

absl::StatusOr<std::unique_ptr<PreparedLaunch>>
DeferredDriver::prepare(const KernelLibrary &library, const LaunchBinding &binding) {
  const auto &kernels = static_cast<const DeferredKernels &>(library);
  const DeviceKernel &kernel = kernels.kernels[binding.kernel];
  void *function = dlsym(kernels.handle, kernel.name.c_str());
  if (!function)
    return absl::FailedPreconditionError(absl::StrCat("no kernel ", kernel.name));
  if (binding.argumentRows.size() != binding.arguments.size())
    return absl::InternalError("a launch does not say how many rows its arguments have");
  return std::make_unique<DeferredLaunch>(kernel, reinterpret_cast<KernelFunction>(function),
                                          binding);
}

absl::Status DeferredDriver::launch(const PreparedLaunch &launch, int64_t rows,
                                    const StepBounds &bounds) {
  ++asked.launches;
  const auto &prepared = static_cast<const DeferredLaunch &>(launch);
  return defer([&prepared, rows, bounds] { return prepared.run(rows, bounds); });
}

absl::Status DeferredDriver::synchronize(std::chrono::milliseconds) {
  if (recording)
    return absl::InternalError("waiting has no place in a recording");
  absl::Status status = std::exchange(asked.failure, absl::OkStatus());
  for (const Work &piece : std::exchange(work, {}))
    if (status.ok())
      status = piece();
  return status;
}

absl::StatusOr<std::unique_ptr<TimeMark>> DeferredDriver::createMark() {
  return std::make_unique<Mark>();
}

absl::Status DeferredDriver::place(TimeMark &) { return absl::OkStatus(); }

absl::StatusOr<std::chrono::nanoseconds> DeferredDriver::between(const TimeMark &,
                                                                 const TimeMark &) {
  return std::chrono::nanoseconds(0);
}

absl::Status DeferredDriver::beginRecording() {
  recording = true;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RecordedWork>> DeferredDriver::endRecording() {
  ++asked.recordings;
  recording = false;
  auto result = std::make_unique<Recording>();
  result->pieces = std::exchange(recorded, {});
  return result;
}

absl::Status DeferredDriver::replay(const RecordedWork &recordedWork) {
  ++asked.replays;
  for (const Work &piece : static_cast<const Recording &>(recordedWork).pieces)
    work.push_back(piece);
  return absl::OkStatus();
}

} // namespace epigraph
