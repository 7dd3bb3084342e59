#include "runtime/base/MappedFile.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

absl::StatusOr<const uint8_t *> mapDescriptor(int descriptor, size_t &size,
                                              const std::filesystem::path &path) {
  struct stat info;
  if (::fstat(descriptor, &info) != 0)
    return errnoStatus(errno, "cannot map", path);
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(
        absl::StrCat("'", path.string(), "' is not a regular file; expected a file"));
  size = static_cast<size_t>(info.st_size);
  if (size == 0) // mmap refuses empty mappings.
    return nullptr;
  void *data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED)
    return errnoStatus(errno, "cannot map", path);
  return static_cast<const uint8_t *>(data);
}

} // namespace

absl::StatusOr<MappedFile> MappedFile::open(const std::filesystem::path &path) {
  // O_NONBLOCK: a FIFO must be refused, not waited for.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return errnoStatus(errno, "cannot open", path);
  size_t size = 0;
  absl::StatusOr<const uint8_t *> data = mapDescriptor(descriptor, size, path);
  ::close(descriptor); // The mapping keeps the file.
  if (!data.ok())
    return data.status();
  return MappedFile(path, *data, size);
}

MappedFile::MappedFile(std::filesystem::path path, const uint8_t *data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_)
    ::munmap(const_cast<uint8_t *>(data_), size_);
}

} // namespace epigraph
