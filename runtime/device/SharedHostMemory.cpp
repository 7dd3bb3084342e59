#include "runtime/device/SharedHostMemory.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/device/MemoryPool.h"

namespace epigraph {
namespace {

/// The mapping of `file`, or null.
uint8_t *mapShared(int file, uint64_t bytes) {
  void *base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return base == MAP_FAILED ? nullptr : static_cast<uint8_t *>(base);
}

absl::Status noMemory(uint64_t bytes, const std::string &purpose, const std::string &why) {
  return withCode(ErrorCode::DoesNotFit,
                  absl::ResourceExhaustedError(
                      absl::StrCat("no memory for ", purpose, ": needs ", formatBytes(bytes),
                                   " of the host's that processes share: ", why)));
}

absl::Status cannotOpen(const SharedHostMemory::Name &name, const std::string &why) {
  return absl::UnavailableError(
      absl::StrCat("cannot reach the memory that process ", name.process, " shares: ", why));
}

} // namespace

absl::StatusOr<SharedHostMemory> SharedHostMemory::create(uint64_t bytes,
                                                          const std::string &purpose) {
  // Nothing else limits files of no file system: processes would be killed for memory.
  if (const uint64_t all = MemoryPool::physicalBytes(); bytes > all)
    return noMemory(bytes, purpose, absl::StrCat("this machine has ", formatBytes(all)));
  const int file = memfd_create("epigraph", MFD_CLOEXEC);
  if (file < 0)
    return noMemory(bytes, purpose, std::strerror(errno));
  int error = posix_fallocate(file, 0, static_cast<off_t>(bytes));
  uint8_t *base = error == 0 ? mapShared(file, bytes) : nullptr;
  if (!base) {
    error = error != 0 ? error : errno;
    close(file);
    return noMemory(bytes, purpose, std::strerror(error));
  }
  return SharedHostMemory(file, base, bytes);
}

absl::StatusOr<SharedHostMemory> SharedHostMemory::open(const Name &name) {
  const std::string path = absl::StrCat("/proc/", name.process, "/fd/", name.file);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0)
    return cannotOpen(name, std::strerror(errno));
  struct stat status{};
  const bool isThere = fstat(file, &status) == 0 && S_ISREG(status.st_mode) && name.bytes > 0 &&
                       static_cast<uint64_t>(status.st_size) >= name.bytes;
  uint8_t *base = isThere ? mapShared(file, name.bytes) : nullptr;
  if (!base) {
    const std::string why = isThere ? std::strerror(errno) : "it is not there any more";
    close(file);
    return cannotOpen(name, why);
  }
  return SharedHostMemory(file, base, name.bytes);
}

SharedHostMemory::SharedHostMemory(SharedHostMemory &&other) noexcept
    : file(std::exchange(other.file, -1)), base(std::exchange(other.base, nullptr)),
      size(other.size) {}

SharedHostMemory::~SharedHostMemory() {
  if (base)
    munmap(base, size);
  if (file >= 0)
    close(file);
}

SharedHostMemory::Name SharedHostMemory::name() const { return {getpid(), file, size}; }

} // namespace epigraph
