// Layout of a file: 8 bytes little-endian header size, the header, the data.
#include "runtime/artifact/Safetensors.h"

#include "runtime/artifact/SafetensorsHeader.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

constexpr uint64_t kSizeBytes = 8;

/// The size of the header, checked against the file and the format's limit.
absl::StatusOr<uint64_t> headerSize(absl::Span<const uint8_t> file) {
  if (file.size() < kSizeBytes)
    return absl::InvalidArgumentError(
        absl::StrCat("the file has ", file.size(), " bytes; a header needs at least 8"));
  uint64_t size = 0;
  for (uint64_t i = 0; i < kSizeBytes; ++i)
    size |= uint64_t{file[i]} << (8 * i);
  if (size > SafetensorsFile::kMaxHeaderBytes)
    return absl::InvalidArgumentError(absl::StrCat("the header claims ", size,
                                                   " bytes; the format allows at most ",
                                                   SafetensorsFile::kMaxHeaderBytes));
  if (size > file.size() - kSizeBytes)
    return absl::InvalidArgumentError(absl::StrCat("the header claims ", size,
                                                   " bytes; the file has ",
                                                   file.size() - kSizeBytes, " after its size"));
  if (size == 0 || file[kSizeBytes] != '{')
    return absl::InvalidArgumentError("the header does not start with '{'");
  return size;
}

} // namespace

uint64_t StoredTensor::elements() const { return bytes.size() / dtypeBytes(dtype); }

absl::StatusOr<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path &path) {
  EPIGRAPH_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  EPIGRAPH_ASSIGN_OR_RETURN(SafetensorsFile result, withCode(ErrorCode::BadSafetensors,
                                                             parse(file.bytes(), path.string())));
  result.file_ = std::move(file);
  return result;
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::parse(absl::Span<const uint8_t> bytes,
                                                       std::string_view source) {
  absl::StatusOr<uint64_t> size = headerSize(bytes);
  if (!size.ok())
    return withContext(size.status(), source);
  std::string_view json(reinterpret_cast<const char *>(bytes.data()) + kSizeBytes, *size);
  absl::Span<const uint8_t> data = bytes.subspan(kSizeBytes + *size);
  absl::StatusOr<SafetensorsHeader> header = parseSafetensorsHeader(json, data.size());
  if (!header.ok())
    return withContext(header.status(), source);

  SafetensorsFile result;
  result.metadata_ = std::move(header->metadata);
  result.tensors_.reserve(header->entries.size());
  for (SafetensorsEntry &entry : header->entries)
    result.tensors_.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape),
                               data.subspan(entry.begin, entry.end - entry.begin)});
  for (size_t i = 0; i < result.tensors_.size(); ++i)
    result.byName_.emplace(result.tensors_[i].name, i);
  return result;
}

const StoredTensor *SafetensorsFile::find(std::string_view name) const {
  auto it = byName_.find(name);
  return it == byName_.end() ? nullptr : &tensors_[it->second];
}

} // namespace epigraph
