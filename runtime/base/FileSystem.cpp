#include "runtime/base/FileSystem.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "runtime/base/Status.h"

namespace epigraph {

absl::Status errnoStatus(int error, std::string_view operation, const std::filesystem::path &path) {
  std::string message = absl::StrCat(abslView(operation), " '", path.string(),
                                     "': ", std::generic_category().message(error));
  switch (error) {
  case ENOENT:
  case ENOTDIR:
    return absl::NotFoundError(message);
  case EACCES:
  case EPERM:
  case EROFS:
    return absl::PermissionDeniedError(message);
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
  case ENOMEM:
  case EMFILE:
  case ENFILE:
    return absl::ResourceExhaustedError(message);
  case EISDIR:
  case ENAMETOOLONG:
  case ELOOP:
  case EINVAL:
    return absl::InvalidArgumentError(message);
  default:
    return absl::UnavailableError(message);
  }
}

namespace {

/// Closes a descriptor at the end of a scope.
class Descriptor {
public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() {
    if (value_ >= 0)
      ::close(value_);
  }
  int get() const { return value_; }

private:
  int value_;
};

absl::StatusOr<uint64_t> regularFileSize(const struct stat &info,
                                         const std::filesystem::path &path) {
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(
        absl::StrCat("'", path.string(), "' is not a regular file; expected a file"));
  return static_cast<uint64_t>(info.st_size);
}

} // namespace

absl::StatusOr<uint64_t> fileSize(const std::filesystem::path &path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0)
    return errnoStatus(errno, "cannot read", path);
  return regularFileSize(info, path);
}

absl::StatusOr<std::string> readFile(const std::filesystem::path &path, uint64_t maxBytes) {
  // O_NONBLOCK: a FIFO must be refused, not waited for.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0)
    return errnoStatus(errno, "cannot open", path);
  struct stat info;
  if (::fstat(file.get(), &info) != 0)
    return errnoStatus(errno, "cannot read", path);
  EPIGRAPH_ASSIGN_OR_RETURN(uint64_t size, regularFileSize(info, path));
  if (size > maxBytes)
    return absl::InvalidArgumentError(absl::StrCat("'", path.string(), "' has ", size,
                                                   " bytes; at most ", maxBytes, " are accepted"));
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    ssize_t count = ::read(file.get(), content.data() + done, size - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return errnoStatus(errno, "cannot read", path);
    if (count == 0)
      return absl::DataLossError(absl::StrCat(
          "'", path.string(), "' shrank while it was read: ", done, " of ", size, " bytes"));
    done += static_cast<size_t>(count);
  }
  return content;
}

absl::Status writeFileAtomically(const std::filesystem::path &path, std::string_view content) {
  EPIGRAPH_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  EPIGRAPH_RETURN_IF_ERROR(file.append(content));
  return file.commit();
}

bool isContainedPath(std::string_view path) {
  if (path.empty() || path.find('\\') != path.npos || path.find('\0') != path.npos)
    return false;
  // Every component, including the empty ones of "/a", "a//b" and "a/".
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string_view component = path.substr(begin, end - begin);
    if (component.empty() || component == "." || component == "..")
      return false;
    begin = end + 1;
  }
  return true;
}

AtomicFile::AtomicFile(std::filesystem::path path, std::string temporary, int descriptor)
    : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
  if (!temporary_.empty())
    ::unlink(temporary_.c_str());
}

absl::StatusOr<AtomicFile> AtomicFile::create(const std::filesystem::path &path) {
  // A rename would put a file in the place of a device such as /dev/null.
  std::error_code error;
  const std::filesystem::file_status there = std::filesystem::status(path, error);
  if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there))
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot write ", path.string(), ": it is not a regular file; choose another name"));
  // Names left behind by a killed process with the same id are stepped over.
  for (int attempt = 0;; ++attempt) {
    std::string temporary = absl::StrCat(path.string(), ".", ::getpid(), "-", attempt, ".tmp");
    int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0)
      return AtomicFile(path, std::move(temporary), descriptor);
    if (errno != EEXIST || attempt == 1000)
      return errnoStatus(errno, "cannot create a file beside", path);
  }
}

absl::Status AtomicFile::append(absl::Span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return errnoStatus(errno, "cannot write", path_);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::append(std::string_view bytes) {
  return append(absl::MakeConstSpan(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
}

absl::Status AtomicFile::commit() {
  // Errors of delayed writes (a full disk, a network share) are reported by close.
  if (::close(std::exchange(descriptor_, -1)) != 0)
    return errnoStatus(errno, "cannot write", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    return errnoStatus(errno, "cannot write", path_);
  temporary_.clear();
  return absl::OkStatus();
}

} // namespace epigraph
