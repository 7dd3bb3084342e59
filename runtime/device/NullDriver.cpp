#include "runtime/device/NullDriver.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

constexpr uint64_t kAlignment = 4096;
/// Far from what the host has mapped: an access by mistake faults.
constexpr uint64_t kFirstAddress = uint64_t{1} << 60;

class NullKernels : public KernelLibrary {
public:
  std::vector<std::string> names;
};

struct NullLaunch : PreparedLaunch {
  explicit NullLaunch(std::string name) : name(std::move(name)) {}
  const std::string name;
};

struct NullRecording : RecordedWork {
  explicit NullRecording(std::vector<std::string> lines) : lines(std::move(lines)) {}
  const std::vector<std::string> lines;
};

class HostMemory : public DeviceMemory {
public:
  explicit HostMemory(size_t size) : content(size) {}
  uint8_t *address() const override {
    return content.empty() ? nullptr : const_cast<uint8_t *>(content.data());
  }
  size_t bytes() const override { return content.size(); }

private:
  std::vector<uint8_t> content;
};

} // namespace

/// What is allocated: start to size.
struct NullDriver::Ranges {
  std::map<uint64_t, uint64_t> live;
  uint64_t next = kFirstAddress;

  /// With a gap behind: what reaches too far reaches nothing.
  uint64_t take(uint64_t bytes) {
    const uint64_t base = next;
    next += (bytes + 2 * kAlignment - 1) / kAlignment * kAlignment;
    live.emplace(base, bytes);
    return base;
  }
};

class NullDriver::Memory : public DeviceMemory {
public:
  Memory(std::shared_ptr<Ranges> ranges, uint64_t base, size_t size, MemoryReservation reservation)
      : ranges(std::move(ranges)), base(base), size(size), reservation(std::move(reservation)) {}
  ~Memory() override { ranges->live.erase(base); }
  uint8_t *address() const override { return reinterpret_cast<uint8_t *>(base); }
  size_t bytes() const override { return size; }

private:
  std::shared_ptr<Ranges> ranges;
  uint64_t base;
  size_t size;
  MemoryReservation reservation;
};

NullDriver::NullDriver(MemoryPool &pool) : pool(pool), ranges(std::make_shared<Ranges>()) {}

NullDriver::~NullDriver() = default;

absl::StatusOr<std::unique_ptr<DeviceMemory>> NullDriver::reserveRange(uint64_t bytes,
                                                                       const std::string &purpose) {
  EPIGRAPH_ASSIGN_OR_RETURN(MemoryReservation reservation, pool.reserve(bytes, purpose));
  if (bytes == 0)
    return std::make_unique<Memory>(ranges, 0, 0, std::move(reservation));
  if (bytes > UINT64_MAX - ranges->next - 2 * kAlignment)
    return absl::ResourceExhaustedError(absl::StrCat("no addresses left for ", purpose));
  return std::make_unique<Memory>(ranges, ranges->take(bytes), bytes, std::move(reservation));
}

absl::Status NullDriver::require(const void *address, size_t bytes, std::string_view what) const {
  const uint64_t begin = reinterpret_cast<uint64_t>(address);
  const auto after = ranges->live.upper_bound(begin);
  if (after != ranges->live.begin()) {
    const auto &[base, size] = *std::prev(after);
    if (begin - base <= size && bytes <= size - (begin - base))
      return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(abslView(what), ": ", bytes, " bytes at 0x",
                                                 absl::Hex(begin),
                                                 " are not memory of this driver"));
}

absl::Status NullDriver::write(std::string line) {
  (recording ? recorded : log).push_back(std::move(line));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DeviceMemory>> NullDriver::allocate(uint64_t bytes,
                                                                   const std::string &purpose) {
  return reserveRange(bytes, purpose);
}

absl::StatusOr<std::unique_ptr<DeviceMemory>> NullDriver::allocateStaging(uint64_t bytes,
                                                                          const std::string &) {
  return std::make_unique<HostMemory>(bytes);
}

absl::StatusOr<std::unique_ptr<DeviceMemory>>
NullDriver::mapConstants(absl::Span<const uint8_t> bytes, const std::string &purpose) {
  return reserveRange(bytes.size(), purpose);
}

absl::StatusOr<std::vector<uint8_t>> NullDriver::exportMemory(const DeviceMemory &memory) {
  EPIGRAPH_RETURN_IF_ERROR(require(memory.address(), memory.bytes(), "memory to share"));
  const uint64_t size = memory.bytes();
  std::vector<uint8_t> exported(sizeof(size));
  std::memcpy(exported.data(), &size, sizeof(size));
  return exported;
}

absl::StatusOr<std::unique_ptr<DeviceMemory>>
NullDriver::importMemory(absl::Span<const uint8_t> exported) {
  uint64_t size = 0;
  if (exported.size() != sizeof(size))
    return absl::InternalError(absl::StrCat(exported.size(), " bytes do not name shared memory"));
  std::memcpy(&size, exported.data(), sizeof(size));
  // It is another driver's memory, which that one's pool has counted.
  const uint64_t base = ranges->take(size);
  return std::make_unique<Memory>(ranges, base, size, MemoryReservation());
}

absl::StatusOr<SharedMemory> NullDriver::allocateShared(uint64_t bytes, const std::string &) {
  SharedMemory shared;
  shared.memory = std::make_unique<Memory>(ranges, ranges->take(bytes), bytes, MemoryReservation());
  EPIGRAPH_ASSIGN_OR_RETURN(shared.exported, exportMemory(*shared.memory));
  return shared;
}

absl::Status NullDriver::copyIn(uint8_t *result, absl::Span<const uint8_t> source) {
  if (source.empty())
    return absl::OkStatus();
  EPIGRAPH_RETURN_IF_ERROR(require(result, source.size(), "result of copyIn"));
  return write(absl::StrCat("copyIn ", source.size()));
}

absl::Status NullDriver::copyOut(absl::Span<uint8_t> result, const uint8_t *source) {
  if (result.empty())
    return absl::OkStatus();
  EPIGRAPH_RETURN_IF_ERROR(require(source, result.size(), "source of copyOut"));
  std::memset(result.data(), 0, result.size());
  return write(absl::StrCat("copyOut ", result.size()));
}

absl::Status NullDriver::copy(uint8_t *result, const uint8_t *source, size_t bytes) {
  if (bytes == 0 || result == source)
    return absl::OkStatus();
  EPIGRAPH_RETURN_IF_ERROR(require(source, bytes, "source of copy"));
  EPIGRAPH_RETURN_IF_ERROR(require(result, bytes, "result of copy"));
  return write(absl::StrCat("copy ", bytes));
}

absl::Status NullDriver::copyColumns(uint8_t *result, size_t resultStride, const uint8_t *source,
                                     size_t sourceStride, size_t width, size_t rows) {
  if (width == 0 || rows == 0)
    return absl::OkStatus();
  EPIGRAPH_RETURN_IF_ERROR(
      require(source, (rows - 1) * sourceStride + width, "source of copyColumns"));
  EPIGRAPH_RETURN_IF_ERROR(
      require(result, (rows - 1) * resultStride + width, "result of copyColumns"));
  return write(absl::StrCat("copyColumns ", rows, " x ", width));
}

absl::Status NullDriver::clear(uint8_t *result, size_t bytes) {
  if (bytes == 0)
    return absl::OkStatus();
  EPIGRAPH_RETURN_IF_ERROR(require(result, bytes, "result of clear"));
  return write(absl::StrCat("clear ", bytes));
}

absl::StatusOr<std::unique_ptr<KernelLibrary>>
NullDriver::loadKernels(const std::string &path, absl::Span<const DeviceKernel> kernels) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return absl::NotFoundError(absl::StrCat("kernel library ", path, ": ", std::strerror(errno),
                                            "; compile the model again"));
  auto library = std::make_unique<NullKernels>();
  for (const DeviceKernel &kernel : kernels)
    library->names.push_back(kernel.name);
  return library;
}

absl::StatusOr<std::unique_ptr<PreparedLaunch>> NullDriver::prepare(const KernelLibrary &library,
                                                                    const LaunchBinding &binding) {
  const std::vector<std::string> &names = static_cast<const NullKernels &>(library).names;
  if (binding.kernel >= names.size())
    return absl::InternalError(
        absl::StrCat("launch of kernel ", binding.kernel, " of a library with ", names.size()));
  const std::string &name = names[binding.kernel];
  for (const void *argument : binding.arguments)
    EPIGRAPH_RETURN_IF_ERROR(require(argument, 0, absl::StrCat("argument of kernel ", name)));
  return std::make_unique<NullLaunch>(name);
}

absl::Status NullDriver::launch(const PreparedLaunch &launch, int64_t rows, const StepBounds &) {
  return write(
      absl::StrCat("launch ", static_cast<const NullLaunch &>(launch).name, " ", rows, " rows"));
}

absl::Status NullDriver::synchronize(std::chrono::milliseconds) { return write("synchronize"); }

absl::StatusOr<std::unique_ptr<TimeMark>> NullDriver::createMark() {
  return std::make_unique<TimeMark>();
}

absl::Status NullDriver::place(TimeMark &) { return write("mark"); }

absl::StatusOr<std::chrono::nanoseconds> NullDriver::between(const TimeMark &, const TimeMark &) {
  return std::chrono::nanoseconds(0);
}

absl::Status NullDriver::beginRecording() {
  if (recording)
    return absl::InternalError("a recording has begun already");
  recording = true;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RecordedWork>> NullDriver::endRecording() {
  if (!recording)
    return absl::InternalError("no recording has begun");
  recording = false;
  return std::make_unique<NullRecording>(std::exchange(recorded, {}));
}

absl::Status NullDriver::replay(const RecordedWork &work) {
  for (const std::string &line : static_cast<const NullRecording &>(work).lines)
    EPIGRAPH_RETURN_IF_ERROR(write(line));
  return absl::OkStatus();
}

} // namespace epigraph
