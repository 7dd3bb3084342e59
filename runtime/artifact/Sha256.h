// SHA-256, as the manifest records it of every file.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_SHA256_H
#define EPIGRAPH_RUNTIME_ARTIFACT_SHA256_H

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace epigraph {

/// The digest of `content` as 64 lower-case hexadecimal digits.
std::string sha256Hex(std::string_view content);

/// The digest of the file `path`.
absl::StatusOr<std::string> sha256HexOfFile(const std::filesystem::path &path);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_SHA256_H
