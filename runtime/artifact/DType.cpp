#include "runtime/artifact/DType.h"

#include <array>

namespace epigraph {
namespace {

struct Description {
  std::string_view name;
  uint64_t bytes;
};

/// In the order of the enumeration.
constexpr std::array<Description, 16> kDescriptions = {{
    {"BOOL", 1},
    {"U8", 1},
    {"I8", 1},
    {"F8_E5M2", 1},
    {"F8_E4M3", 1},
    {"F8_E8M0", 1},
    {"I16", 2},
    {"U16", 2},
    {"F16", 2},
    {"BF16", 2},
    {"I32", 4},
    {"U32", 4},
    {"F32", 4},
    {"F64", 8},
    {"I64", 8},
    {"U64", 8},
}};

} // namespace

uint64_t dtypeBytes(DType dtype) { return kDescriptions[static_cast<size_t>(dtype)].bytes; }

std::string_view dtypeName(DType dtype) { return kDescriptions[static_cast<size_t>(dtype)].name; }

std::optional<DType> dtypeFromName(std::string_view name) {
  for (size_t i = 0; i < kDescriptions.size(); ++i)
    if (kDescriptions[i].name == name)
      return static_cast<DType>(i);
  return std::nullopt;
}

} // namespace epigraph
