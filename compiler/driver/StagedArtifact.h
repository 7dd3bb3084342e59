// A folder that becomes an artifact only when it is complete. It grows beside its final place under
// another name; commit() swaps it in, and without commit nothing of it stays.
#ifndef EPIGRAPH_COMPILER_DRIVER_STAGEDARTIFACT_H
#define EPIGRAPH_COMPILER_DRIVER_STAGEDARTIFACT_H

#include <filesystem>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "runtime/artifact/Manifest.h"

namespace epigraph {

/// OK when an artifact may be written at `path`: nothing is there, or an Epigraph artifact.
/// Errors: AlreadyExists, NotFound (the folder it lies in).
absl::Status checkOutput(const std::filesystem::path &path);

class StagedArtifact {
public:
  /// Starts an artifact that will be `path`.
  static absl::StatusOr<StagedArtifact> create(const std::filesystem::path &path);

  StagedArtifact(StagedArtifact &&other) noexcept;
  StagedArtifact &operator=(StagedArtifact &&) = delete;
  ~StagedArtifact();

  /// Where files go until commit(); weights/ is there.
  const std::filesystem::path &directory() const { return directory_; }

  absl::Status addFile(std::string_view name, std::string_view content);

  /// Lists every file in `manifest`, writes it, and puts the artifact in its place. Replacing an
  /// artifact is one rename where the file system can swap two folders.
  absl::Status commit(Manifest &manifest);

private:
  StagedArtifact(std::filesystem::path target, std::filesystem::path directory)
      : target_(std::move(target)), directory_(std::move(directory)) {}

  absl::Status listFiles(Manifest &manifest) const;

  std::filesystem::path target_;
  std::filesystem::path directory_; ///< empty: moved from, or committed and gone
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_STAGEDARTIFACT_H
