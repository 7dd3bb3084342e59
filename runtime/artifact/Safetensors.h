// Reading safetensors files: tensors as views into a mapped file. The file is untrusted; what the
// format forbids is refused before any tensor is handed out, so that a view can be used without
// further checks.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_SAFETENSORS_H
#define EPIGRAPH_RUNTIME_ARTIFACT_SAFETENSORS_H

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "runtime/artifact/DType.h"
#include "runtime/base/MappedFile.h"

namespace epigraph {

/// One tensor of a file. Row-major, little-endian.
/// NOTE: the format does not align tensors; read elements with memcpy unless the writer is known to
/// align.
struct StoredTensor {
  std::string name; ///< any UTF-8
  DType dtype = DType::F32;
  std::vector<uint64_t> shape;     ///< empty for a scalar
  absl::Span<const uint8_t> bytes; ///< elements() * dtypeBytes(dtype) bytes of the file

  /// Product of the shape; 1 for a scalar.
  uint64_t elements() const;
};

/// A verified safetensors file.
class SafetensorsFile {
public:
  /// Headers larger than this are refused, as the format demands.
  static constexpr uint64_t kMaxHeaderBytes = 100'000'000;

  /// Maps and verifies `path`. Errors (InvalidArgument) name the file, the tensor and the rule that
  /// is broken.
  static absl::StatusOr<SafetensorsFile> open(const std::filesystem::path &path);

  /// Verifies `bytes`, which must outlive the result; `source` names them in errors.
  static absl::StatusOr<SafetensorsFile> parse(absl::Span<const uint8_t> bytes,
                                               std::string_view source);

  /// The tensor called `name`, or null. Valid as long as this object, also after a move.
  const StoredTensor *find(std::string_view name) const;

  /// All tensors, in the order of their data.
  absl::Span<const StoredTensor> tensors() const { return tensors_; }

  /// The header's "__metadata__"; empty when there is none.
  const std::map<std::string, std::string> &metadata() const { return metadata_; }

private:
  std::optional<MappedFile> file_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string_view, size_t> byName_; ///< views of tensors_[i].name
  std::map<std::string, std::string> metadata_;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_SAFETENSORS_H
