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

struct LaunchContext {
  KernelFunction kernel;
  void *const *args;
  const KernelStep *step;
  int64_t rows;
};

void runTiles(const void *context, int64_t begin, int64_t end) {
  const LaunchContext &launch = *static_cast<const LaunchContext *>(context);
  launch.kernel(launch.args, launch.step, launch.rows, begin, end);
}

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
CpuDriver::mapConstants(absl::Span<const uint8_t> bytes, const std::string &purpose) {
  absl::StatusOr<MemoryReservation> reservation = memory.reserve(bytes.size(), purpose);
  if (!reservation.ok())
    return reservation.status();
  // Kernels take operands and results through one array of void *; they only read operands.
  uint8_t *address = const_cast<uint8_t *>(bytes.data());
  return std::make_unique<CpuMemory>(nullptr, 0, address, bytes.size(), *std::move(reservation));
}

absl::StatusOr<std::unique_ptr<KernelLibrary>>
CpuDriver::loadKernels(const std::string &path, absl::Span<const std::string> symbols) {
  if (absl::Status status = checkLibraryFile(path); !status.ok())
    return status;
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return withCode(ErrorCode::BadKernelLibrary,
                    absl::FailedPreconditionError(absl::StrCat("kernel library ", path,
                                                               " cannot be loaded: ", dlerror(),
                                                               "; compile the model again")));
  std::vector<KernelFunction> entries;
  entries.reserve(symbols.size());
  for (const std::string &symbol : symbols) {
    void *address = dlsym(handle, symbol.c_str());
    if (!address) {
      dlclose(handle);
      return withCode(ErrorCode::BadKernelLibrary,
                      absl::FailedPreconditionError(
                          absl::StrCat("kernel library ", path, " has no kernel '", symbol,
                                       "', which its plan launches; compile the model again")));
    }
    entries.push_back(reinterpret_cast<KernelFunction>(address));
  }
  return std::make_unique<CpuKernels>(handle, std::move(entries));
}

absl::Status CpuDriver::launch(const KernelLibrary &library, size_t index, void *const *args,
                               const KernelStep &step, int64_t rows, int64_t tiles) {
  // Libraries come from loadKernels of a CpuDriver: executors never mix drivers.
  const CpuKernels &kernels = static_cast<const CpuKernels &>(library);
  if (index >= kernels.size())
    return absl::InternalError(
        absl::StrCat("launch of kernel ", index, " of a library with ", kernels.size()));
  const LaunchContext context{kernels.entry(index), args, &step, rows};
  threads.run(tiles, runTiles, &context);
  return absl::OkStatus();
}

} // namespace epigraph
