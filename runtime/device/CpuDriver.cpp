#include "runtime/device/CpuDriver.h"

#include <dlfcn.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/base/ErrorCode.h"
#include "runtime/device/CpuFeatures.h"

namespace epigraph {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

/// An anonymous mapping that starts on a huge page where it is as large as one, or bytes of
/// somebody else's (a null `mapping`).
class CpuMemory : public DeviceMemory {
public:
  CpuMemory(void *mapping, size_t mappedBytes, uint8_t *base, size_t size,
            MemoryReservation reservation)
      : mapping(mapping), mappedBytes(mappedBytes), base(base), size(size),
        reservation(std::move(reservation)) {}
  ~CpuMemory() override {
    if (mapping)
      munmap(mapping, mappedBytes);
  }
  uint8_t *address() const override { return base; }
  size_t bytes() const override { return size; }

private:
  void *mapping;
  size_t mappedBytes;
  uint8_t *base;
  size_t size;
  MemoryReservation reservation;
};

class CpuKernels : public KernelLibrary {
public:
  CpuKernels(void *handle, std::vector<KernelFunction> entries)
      : handle(handle), entries(std::move(entries)) {}
  ~CpuKernels() override { dlclose(handle); }
  KernelFunction entry(size_t index) const { return entries[index]; }
  size_t size() const { return entries.size(); }

private:
  void *handle;
  std::vector<KernelFunction> entries;
};

/// What kernels of the CPU take, and how a launch is cut into tiles.
class CpuLaunch : public PreparedLaunch {
public:
  CpuLaunch(KernelFunction kernel, const LaunchBinding &binding)
      : kernel(kernel), args(binding.arguments.data()),
        step(static_cast<const KernelStep *>(binding.step)), rowTile(binding.rowTile),
        columnTiles(binding.columnTiles) {}

  /// False when their number does not fit 63 bits.
  bool tilesOf(int64_t rows, int64_t &tiles) const {
    tiles = columnTiles;
    if (rowTile == 0)
      return true;
    const int64_t rowTiles = rows / rowTile + (rows % rowTile != 0);
    return !__builtin_mul_overflow(rowTiles, tiles, &tiles);
  }
  void run(int64_t rows, int64_t begin, int64_t end) const { kernel(args, step, rows, begin, end); }

private:
  KernelFunction kernel;
  void *const *args;
  const KernelStep *step;
  int64_t rowTile;
  int64_t columnTiles;
};

struct LaunchContext {
  const CpuLaunch &launch;
  int64_t rows;
};

void runTiles(const void *context, int64_t begin, int64_t end) {
  const LaunchContext &running = *static_cast<const LaunchContext *>(context);
  running.launch.run(running.rows, begin, end);
}

class CpuMark : public TimeMark {
public:
  std::chrono::steady_clock::time_point time;
};

absl::Status checkLibraryFile(const std::string &path) {
  // dlopen searches the system's folders for a name without a slash; a kernel library is never
  // meant to be found.
  if (path.find('/') == std::string::npos)
    return absl::InvalidArgumentError(
        absl::StrCat("kernel library '", path, "': expected a path with a folder"));
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return absl::NotFoundError(absl::StrCat("kernel library ", path, ": ", std::strerror(errno),
                                            "; compile the model again"));
  return absl::OkStatus();
}

} // namespace

int availableProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return CPU_COUNT(&set);
  const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : static_cast<int>(count);
}

CpuDriver::CpuDriver(MemoryPool &memory, int threads, bool spin)
    : memory(memory), threads(threads, spin) {}

absl::Status CpuDriver::requireFeatures(absl::Span<const std::string> features) const {
  return requireCpuFeatures(features);
}

absl::StatusOr<uint64_t> CpuDriver::availableBytes() const { return MemoryPool::physicalBytes(); }

absl::StatusOr<std::unique_ptr<DeviceMemory>> CpuDriver::allocate(uint64_t bytes,
                                                                  const std::string &purpose) {
  absl::StatusOr<MemoryReservation> reservation = memory.reserve(bytes, purpose);
  if (!reservation.ok())
    return reservation.status();
  if (bytes == 0)
    return std::make_unique<CpuMemory>(nullptr, 0, nullptr, 0, *std::move(reservation));
  const bool huge = bytes >= kHugePageBytes;
  const size_t mapped = bytes + (huge ? kHugePageBytes : 0);
  void *mapping = mapped < bytes ? MAP_FAILED
                                 : mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    return absl::ResourceExhaustedError(absl::StrCat("cannot map ", formatBytes(bytes), " for ",
                                                     purpose, ": ", std::strerror(errno)));
  uintptr_t base = reinterpret_cast<uintptr_t>(mapping);
  if (huge) {
    base = (base + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
    // Advice only: a machine without huge pages runs as well, a little slower.
    madvise(reinterpret_cast<void *>(base), bytes, MADV_HUGEPAGE);
  }
  return std::make_unique<CpuMemory>(mapping, mapped, reinterpret_cast<uint8_t *>(base), bytes,
                                     *std::move(reservation));
}

absl::StatusOr<std::unique_ptr<DeviceMemory>>
CpuDriver::allocateStaging(uint64_t bytes, const std::string &purpose) {
  return allocate(bytes, purpose);
}

absl::StatusOr<std::unique_ptr<DeviceMemory>>
CpuDriver::mapConstants(absl::Span<const uint8_t> bytes, const std::string &purpose) {
  absl::StatusOr<MemoryReservation> reservation = memory.reserve(bytes.size(), purpose);
  if (!reservation.ok())
    return reservation.status();
  // Kernels take operands and results through one array of void *; they only read operands.
  uint8_t *address = const_cast<uint8_t *>(bytes.data());
  return std::make_unique<CpuMemory>(nullptr, 0, address, bytes.size(), *std::move(reservation));
}

absl::Status CpuDriver::copyIn(uint8_t *result, absl::Span<const uint8_t> source) {
  return copy(result, source.data(), source.size());
}

absl::Status CpuDriver::copyOut(absl::Span<uint8_t> result, const uint8_t *source) {
  return copy(result.data(), source, result.size());
}

absl::Status CpuDriver::copy(uint8_t *result, const uint8_t *source, size_t bytes) {
  if (bytes != 0)
    std::memmove(result, source, bytes);
  return absl::OkStatus();
}

absl::Status CpuDriver::copyColumns(uint8_t *result, size_t resultStride, const uint8_t *source,
                                    size_t sourceStride, size_t width, size_t rows) {
  for (size_t row = 0; row < rows; ++row)
    std::memcpy(result + row * resultStride, source + row * sourceStride, width);
  return absl::OkStatus();
}

absl::Status CpuDriver::clear(uint8_t *result, size_t bytes) {
  if (bytes != 0)
    std::memset(result, 0, bytes);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<KernelLibrary>>
CpuDriver::loadKernels(const std::string &path, absl::Span<const DeviceKernel> kernels) {
  if (absl::Status status = checkLibraryFile(path); !status.ok())
    return status;
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return withCode(ErrorCode::BadKernelLibrary,
                    absl::FailedPreconditionError(absl::StrCat("kernel library ", path,
                                                               " cannot be loaded: ", dlerror(),
                                                               "; compile the model again")));
  std::vector<KernelFunction> entries;
  entries.reserve(kernels.size());
  for (const DeviceKernel &kernel : kernels) {
    void *address = dlsym(handle, kernel.name.c_str());
    if (!address) {
      dlclose(handle);
      return withCode(ErrorCode::BadKernelLibrary,
                      absl::FailedPreconditionError(
                          absl::StrCat("kernel library ", path, " has no kernel '", kernel.name,
                                       "', which its plan launches; compile the model again")));
    }
    entries.push_back(reinterpret_cast<KernelFunction>(address));
  }
  return std::make_unique<CpuKernels>(handle, std::move(entries));
}

absl::StatusOr<std::unique_ptr<PreparedLaunch>> CpuDriver::prepare(const KernelLibrary &library,
                                                                   const LaunchBinding &binding) {
  // Libraries come from loadKernels of a CpuDriver: executors never mix drivers.
  const CpuKernels &kernels = static_cast<const CpuKernels &>(library);
  if (binding.kernel >= kernels.size())
    return absl::InternalError(
        absl::StrCat("launch of kernel ", binding.kernel, " of a library with ", kernels.size()));
  return std::make_unique<CpuLaunch>(kernels.entry(binding.kernel), binding);
}

absl::Status CpuDriver::launch(const PreparedLaunch &launch, int64_t rows, const StepBounds &) {
  const LaunchContext context{static_cast<const CpuLaunch &>(launch), rows};
  int64_t tiles = 0;
  // Rows known only now, those received, are bounded by memory; but the product is the plan's.
  if (!context.launch.tilesOf(rows, tiles))
    return absl::InternalError(absl::StrCat("a launch over ", rows, " rows has too many tiles"));
  threads.run(tiles, runTiles, &context);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<TimeMark>> CpuDriver::createMark() {
  return std::make_unique<CpuMark>();
}

absl::Status CpuDriver::place(TimeMark &mark) {
  static_cast<CpuMark &>(mark).time = std::chrono::steady_clock::now();
  return absl::OkStatus();
}

absl::StatusOr<std::chrono::nanoseconds> CpuDriver::between(const TimeMark &from,
                                                            const TimeMark &to) {
  return static_cast<const CpuMark &>(to).time - static_cast<const CpuMark &>(from).time;
}

} // namespace epigraph
