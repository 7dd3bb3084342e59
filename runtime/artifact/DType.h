// The element types of stored tensors, named as safetensors names them.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_DTYPE_H
#define EPIGRAPH_RUNTIME_ARTIFACT_DTYPE_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace epigraph {

enum class DType : uint8_t {
  Bool,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  F8_E8M0,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  F64,
  I64,
  U64,
};

/// Bytes of one element.
uint64_t dtypeBytes(DType dtype);

/// The name in a safetensors header: "BF16", "F8_E4M3", "BOOL", ...
std::string_view dtypeName(DType dtype);

/// The type called `name`, or nothing.
std::optional<DType> dtypeFromName(std::string_view name);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_DTYPE_H
