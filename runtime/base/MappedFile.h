// A file as memory: mapped, not read, so that weights cost address space and page cache only, and
// ranks of one process share them.
#ifndef EPIGRAPH_RUNTIME_BASE_MAPPEDFILE_H
#define EPIGRAPH_RUNTIME_BASE_MAPPEDFILE_H

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace epigraph {

/// Owns a read-only mapping of a whole file. Moving keeps the addresses.
/// NOTE: a file that another process truncates while it is mapped raises SIGBUS on access;
/// artifacts and checkpoints are replaced by rename, never rewritten in place.
class MappedFile {
public:
  /// Maps `path`, which must be a regular file; an empty file gives an empty span.
  /// Errors name the file: NotFound, PermissionDenied, InvalidArgument (not a regular file),
  /// ResourceExhausted (no address space).
  static absl::StatusOr<MappedFile> open(const std::filesystem::path &path);

  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();

  /// The content; page-aligned, valid as long as the mapping.
  absl::Span<const uint8_t> bytes() const { return {data_, size_}; }
  const std::filesystem::path &path() const { return path_; }

private:
  MappedFile(std::filesystem::path path, const uint8_t *data, size_t size);

  std::filesystem::path path_;
  const uint8_t *data_ = nullptr;
  size_t size_ = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_BASE_MAPPEDFILE_H
