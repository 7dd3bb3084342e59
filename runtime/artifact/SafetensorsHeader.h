// The JSON header of a safetensors file, parsed as a stream: a header of 100 MB must not become a
// tree first.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_SAFETENSORSHEADER_H
#define EPIGRAPH_RUNTIME_ARTIFACT_SAFETENSORSHEADER_H

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "runtime/artifact/DType.h"

namespace epigraph {

/// One entry of the header. Offsets count from the start of the data.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::F32;
  std::vector<uint64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// A parsed header.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries; ///< in the order of their data
  std::map<std::string, std::string> metadata;
};

/// Parses `json` and checks each entry by itself (types, keys, names, size against shape and dtype)
/// and all of them together: they must cover [0, `dataBytes`) without overlap or hole. Errors are
/// InvalidArgument.
absl::StatusOr<SafetensorsHeader> parseSafetensorsHeader(std::string_view json, uint64_t dataBytes);

/// Product of `shape` times the size of `dtype`; false when it does not fit 64 bits.
bool tensorBytes(const std::vector<uint64_t> &shape, DType dtype, uint64_t &bytes);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_SAFETENSORSHEADER_H
