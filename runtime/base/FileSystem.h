// Reading whole files and writing them so that nothing half-written is ever seen under the final
// name.
#ifndef EPIGRAPH_RUNTIME_BASE_FILESYSTEM_H
#define EPIGRAPH_RUNTIME_BASE_FILESYSTEM_H

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace epigraph {

/// The status for a failed system call: "`operation` PATH: reason", with the code that fits `error`
/// (an errno).
absl::Status errnoStatus(int error, std::string_view operation, const std::filesystem::path &path);

/// The size in bytes of the regular file `path`.
absl::StatusOr<uint64_t> fileSize(const std::filesystem::path &path);

/// Reads all of `path`, or refuses it when it is larger than `maxBytes` (InvalidArgument).
absl::StatusOr<std::string> readFile(const std::filesystem::path &path, uint64_t maxBytes);

/// Writes `content` to `path` through a temporary file beside it and a rename.
absl::Status writeFileAtomically(const std::filesystem::path &path, std::string_view content);

/// Whether `path` stays inside the folder it is resolved against: relative, not empty, without "."
/// or ".." components, backslashes, or NUL bytes. What untrusted files may name.
bool isContainedPath(std::string_view path);

/// A file being written under a temporary name beside its final one. commit() renames it into
/// place; without commit, the destructor removes it.
class AtomicFile {
public:
  static absl::StatusOr<AtomicFile> create(const std::filesystem::path &path);

  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;
  ~AtomicFile();

  absl::Status append(absl::Span<const uint8_t> bytes);
  absl::Status append(std::string_view bytes);
  /// Closes the file and gives it its final name. Nothing may be appended afterwards.
  absl::Status commit();

private:
  AtomicFile(std::filesystem::path path, std::string temporary, int descriptor);

  std::filesystem::path path_;
  std::string temporary_;
  int descriptor_ = -1;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_FILESYSTEM_H
