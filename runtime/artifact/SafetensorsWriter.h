// Writing safetensors files as a stream: the header is fixed up front, the data follows in order,
// so that a file of any size needs no memory. The same declarations and data give the same bytes.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_SAFETENSORSWRITER_H
#define EPIGRAPH_RUNTIME_ARTIFACT_SAFETENSORSWRITER_H

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "runtime/artifact/DType.h"
#include "runtime/base/FileSystem.h"

namespace epigraph {

/// A tensor to be written.
struct TensorDeclaration {
  std::string name; ///< valid UTF-8, unique, not "__metadata__"
  DType dtype = DType::F32;
  std::vector<uint64_t> shape;
};

/// Writes one file. Order of calls: create, append until all declared bytes are there, finish.
class SafetensorsWriter {
public:
  /// The data starts at a multiple of this many bytes (the header is padded with spaces): one page.
  /// The format allows no holes, so a tensor is aligned to 64 bytes exactly when those before it
  /// have such sizes.
  static constexpr uint64_t kDataAlignment = 4096;

  /// Starts `path` under a temporary name and writes the header. Tensors lie in the order of
  /// `tensors`. Errors: InvalidArgument for duplicate or invalid names and sizes that overflow.
  static absl::StatusOr<SafetensorsWriter>
  create(const std::filesystem::path &path, const std::vector<TensorDeclaration> &tensors,
         const std::map<std::string, std::string> &metadata = {});

  /// The next bytes of the data; any cut will do. FailedPrecondition when they exceed what was
  /// declared.
  absl::Status append(absl::Span<const uint8_t> bytes);

  /// Gives the file its final name. FailedPrecondition when bytes are missing; then nothing is left
  /// behind.
  absl::Status finish();

private:
  SafetensorsWriter(AtomicFile file, std::string name, uint64_t remaining);

  AtomicFile file_;
  std::string name_;
  uint64_t remaining_; ///< declared bytes not yet appended
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_SAFETENSORSWRITER_H
