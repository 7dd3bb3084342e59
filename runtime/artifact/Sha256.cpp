#include "runtime/artifact/Sha256.h"

#include <array>

#include "absl/strings/escaping.h"
#include "nettle/sha2.h"

#include "runtime/base/MappedFile.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

std::string digestHex(absl::Span<const uint8_t> content) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, content.size(), content.data());
  std::array<uint8_t, SHA256_DIGEST_SIZE> digest;
  sha256_digest(&context, digest.size(), digest.data());
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char *>(digest.data()), digest.size()));
}

} // namespace

std::string sha256Hex(std::string_view content) {
  return digestHex(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t *>(content.data()), content.size()));
}

absl::StatusOr<std::string> sha256HexOfFile(const std::filesystem::path &path) {
  EPIGRAPH_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  return digestHex(file.bytes());
}

} // namespace epigraph
