#include "compiler/pipeline/Phase.h"

namespace epigraph {

std::string_view phaseName(Phase phase) {
  static constexpr std::array<std::string_view, kPhases.size()> kNames = {
      "import",    "canonicalize", "fuse",        "quantize", "sparsify",
      "partition", "schedule",     "plan-memory", "codegen",  "pack"};
  return kNames[static_cast<size_t>(phase)];
}

std::optional<Phase> phaseFromName(std::string_view name) {
  for (Phase phase : kPhases)
    if (phaseName(phase) == name)
      return phase;
  return std::nullopt;
}

std::string phaseNames() {
  std::string names;
  for (Phase phase : kPhases) {
    names += names.empty() ? "" : ", ";
    names += phaseName(phase);
  }
  return names;
}

} // namespace epigraph
