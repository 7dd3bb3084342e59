#include "compiler/driver/StagedArtifact.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/Sha256.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Json.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

namespace fs = std::filesystem;

/// `path` without a slash at its end, so that it has a last component.
fs::path normalized(const fs::path &path) {
  fs::path result = path.lexically_normal();
  return result.has_filename() ? result : result.parent_path();
}

/// Whether `path` looks like something that this program wrote, of any version.
bool isArtifact(const fs::path &path) {
  constexpr uint64_t kMaxManifestBytes = 64ull << 20;
  auto text = readFile(path / kManifestFile, kMaxManifestBytes);
  if (!text.ok())
    return false;
  auto json = parseJson(*text, "manifest");
  return json.ok() && json->is_object() && json->contains("format_version") &&
         json->contains("generator");
}

/// Puts `from` in the place of the folder `to`, and what was there in the place of `from`.
absl::Status swapFolders(const fs::path &from, const fs::path &to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0)
    return absl::OkStatus();
  if (errno != EINVAL && errno != ENOSYS)
    return errnoStatus(errno, "replacing", to);
  // This file system cannot swap: there is a moment without an artifact.
  fs::path old = from.string() + ".old";
  if (std::rename(to.c_str(), old.c_str()) != 0)
    return errnoStatus(errno, "replacing", to);
  if (std::rename(from.c_str(), to.c_str()) != 0) {
    absl::Status status = errnoStatus(errno, "renaming to", to);
    if (std::rename(old.c_str(), to.c_str()) != 0)
      status = withContext(status, absl::StrCat("the old artifact is now ", old.string()));
    return status;
  }
  if (std::rename(old.c_str(), from.c_str()) != 0)
    return errnoStatus(errno, "removing", old);
  return absl::OkStatus();
}

} // namespace

absl::Status checkOutput(const fs::path &path) {
  fs::path target = normalized(path);
  std::error_code error;
  fs::path parent = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, error))
    return withCode(
        ErrorCode::NoOutputFolder,
        absl::NotFoundError(absl::StrCat("output '", target.string(), "': the folder '",
                                         parent.string(), "' does not exist; create it")));
  if (fs::exists(fs::symlink_status(target, error)) && !isArtifact(target))
    return withCode(
        ErrorCode::OutputIsKept,
        absl::AlreadyExistsError(absl::StrCat(
            "output '", target.string(),
            "' exists and is not an Epigraph artifact; remove it or choose another name")));
  return absl::OkStatus();
}

absl::StatusOr<StagedArtifact> StagedArtifact::create(const fs::path &path) {
  EPIGRAPH_RETURN_IF_ERROR(checkOutput(path));
  fs::path target = normalized(path);
  StagedArtifact staged(target, absl::StrCat(target.string(), ".partial-", getpid()));
  std::error_code error;
  fs::create_directories(staged.directory_ / "weights", error);
  if (error)
    return errnoStatus(error.value(), "creating", staged.directory_);
  return staged;
}

StagedArtifact::StagedArtifact(StagedArtifact &&other) noexcept
    : target_(std::move(other.target_)), directory_(std::move(other.directory_)) {
  other.directory_.clear();
}

StagedArtifact::~StagedArtifact() {
  std::error_code ignored;
  if (!directory_.empty())
    fs::remove_all(directory_, ignored);
}

absl::Status StagedArtifact::addFile(std::string_view name, std::string_view content) {
  const fs::path file = directory_ / name;
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error)
    return errnoStatus(error.value(), "creating", file.parent_path());
  return writeFileAtomically(file, content);
}

absl::Status StagedArtifact::listFiles(Manifest &manifest) const {
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory_, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_regular_file(error))
      continue;
    Manifest::File file;
    EPIGRAPH_ASSIGN_OR_RETURN(file.bytes, fileSize(it->path()));
    EPIGRAPH_ASSIGN_OR_RETURN(file.sha256, sha256HexOfFile(it->path()));
    manifest.files[it->path().lexically_relative(directory_).generic_string()] = file;
  }
  return error ? errnoStatus(error.value(), "listing", directory_) : absl::OkStatus();
}

absl::Status StagedArtifact::commit(Manifest &manifest) {
  EPIGRAPH_RETURN_IF_ERROR(listFiles(manifest));
  EPIGRAPH_ASSIGN_OR_RETURN(std::string text, printManifest(manifest));
  EPIGRAPH_RETURN_IF_ERROR(addFile(kManifestFile, text));
  // Someone may have put something there since the start.
  EPIGRAPH_RETURN_IF_ERROR(checkOutput(target_));
  std::error_code error;
  if (fs::exists(fs::symlink_status(target_, error)))
    return swapFolders(directory_, target_); // What was there goes with this object.
  if (std::rename(directory_.c_str(), target_.c_str()) != 0)
    return errnoStatus(errno, "renaming to", target_);
  directory_.clear();
  return absl::OkStatus();
}

} // namespace epigraph
