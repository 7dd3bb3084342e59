#include "runtime/artifact/SafetensorsWriter.h"

#include <set>
#include <string_view>

#include "nlohmann/json.hpp"

#include "runtime/artifact/Safetensors.h"
#include "runtime/artifact/SafetensorsHeader.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

using Json = nlohmann::json;

/// `text` as a JSON string. Invalid UTF-8 is refused: nlohmann would throw on it or change it.
absl::StatusOr<std::string> quoted(const std::string &text) {
  std::string json =
      Json(text).dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::ignore);
  // `ignore` drops invalid bytes, so that only valid text survives the way back.
  Json back = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!back.is_string() || *back.get_ptr<const std::string *>() != text)
    return absl::InvalidArgumentError(absl::StrCat("the name ", json, " is not valid UTF-8"));
  return json;
}

/// Appends `"name":{"dtype":...}` for a tensor whose data begins at `offset`; advances `offset`.
absl::Status appendEntry(const TensorDeclaration &tensor, uint64_t &offset, std::string &header) {
  if (tensor.name == "__metadata__")
    return absl::InvalidArgumentError("a tensor cannot be called __metadata__");
  EPIGRAPH_ASSIGN_OR_RETURN(std::string name, quoted(tensor.name));
  uint64_t bytes = 0;
  uint64_t end = 0;
  if (!tensorBytes(tensor.shape, tensor.dtype, bytes) ||
      __builtin_add_overflow(offset, bytes, &end))
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", name, ": the size overflows 64 bits"));
  absl::StrAppend(&header, name, ":{\"dtype\":\"", abslView(dtypeName(tensor.dtype)),
                  "\",\"shape\":", Json(tensor.shape).dump(), ",\"data_offsets\":[", offset, ",",
                  end, "]}");
  offset = end;
  return absl::OkStatus();
}

absl::StatusOr<std::string> metadataEntry(const std::map<std::string, std::string> &metadata) {
  std::string entry = "\"__metadata__\":{";
  const char *separator = "";
  for (const auto &[key, value] : metadata) {
    EPIGRAPH_ASSIGN_OR_RETURN(std::string quotedKey, quoted(key));
    EPIGRAPH_ASSIGN_OR_RETURN(std::string quotedValue, quoted(value));
    absl::StrAppend(&entry, separator, quotedKey, ":", quotedValue);
    separator = ",";
  }
  return entry + "}";
}

/// The whole header, padded so that the data is aligned. `dataBytes` becomes the size of the data.
absl::StatusOr<std::string> makeHeader(const std::vector<TensorDeclaration> &tensors,
                                       const std::map<std::string, std::string> &metadata,
                                       uint64_t &dataBytes) {
  std::string header = "{";
  const char *separator = "";
  if (!metadata.empty()) {
    EPIGRAPH_ASSIGN_OR_RETURN(std::string entry, metadataEntry(metadata));
    header += entry;
    separator = ",";
  }
  std::set<std::string_view> names;
  dataBytes = 0;
  for (const TensorDeclaration &tensor : tensors) {
    if (!names.insert(tensor.name).second)
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", tensor.name, "\" is declared twice"));
    header += separator;
    EPIGRAPH_RETURN_IF_ERROR(appendEntry(tensor, dataBytes, header));
    separator = ",";
  }
  header += "}";
  constexpr uint64_t kAlignment = SafetensorsWriter::kDataAlignment;
  uint64_t padded = (8 + header.size() + kAlignment - 1) / kAlignment * kAlignment - 8;
  header.resize(padded, ' ');
  if (header.size() > SafetensorsFile::kMaxHeaderBytes)
    return absl::InvalidArgumentError(absl::StrCat("the header would have ", header.size(),
                                                   " bytes; the format allows at most ",
                                                   SafetensorsFile::kMaxHeaderBytes));
  return header;
}

} // namespace

SafetensorsWriter::SafetensorsWriter(AtomicFile file, std::string name, uint64_t remaining)
    : file_(std::move(file)), name_(std::move(name)), remaining_(remaining) {}

absl::StatusOr<SafetensorsWriter>
SafetensorsWriter::create(const std::filesystem::path &path,
                          const std::vector<TensorDeclaration> &tensors,
                          const std::map<std::string, std::string> &metadata) {
  uint64_t dataBytes = 0;
  absl::StatusOr<std::string> header = makeHeader(tensors, metadata, dataBytes);
  if (!header.ok())
    return withContext(header.status(), path.string());
  EPIGRAPH_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  uint8_t size[8];
  for (int i = 0; i < 8; ++i)
    size[i] = static_cast<uint8_t>(uint64_t{header->size()} >> (8 * i));
  EPIGRAPH_RETURN_IF_ERROR(file.append(size));
  EPIGRAPH_RETURN_IF_ERROR(file.append(*header));
  return SafetensorsWriter(std::move(file), path.string(), dataBytes);
}

absl::Status SafetensorsWriter::append(absl::Span<const uint8_t> bytes) {
  if (bytes.size() > remaining_)
    return absl::FailedPreconditionError(absl::StrCat(
        name_, ": ", bytes.size(), " bytes appended where ", remaining_, " are left to write"));
  EPIGRAPH_RETURN_IF_ERROR(file_.append(bytes));
  remaining_ -= bytes.size();
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::finish() {
  if (remaining_ != 0)
    return absl::FailedPreconditionError(
        absl::StrCat(name_, ": finished with ", remaining_, " declared bytes not written"));
  return file_.commit();
}

} // namespace epigraph
