// The phases of a compilation, by name. The names are part of the command line.
#ifndef EPIGRAPH_COMPILER_PIPELINE_PHASE_H
#define EPIGRAPH_COMPILER_PIPELINE_PHASE_H

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace epigraph {

/// In the order in which they run.
enum class Phase {
  Import,
  Canonicalize,
  Fuse,
  Quantize,
  Sparsify,
  Partition,
  Schedule,
  PlanMemory,
  Codegen,
  Pack,
};

inline constexpr std::array<Phase, 10> kPhases = {
    Phase::Import,    Phase::Canonicalize, Phase::Fuse,       Phase::Quantize, Phase::Sparsify,
    Phase::Partition, Phase::Schedule,     Phase::PlanMemory, Phase::Codegen,  Phase::Pack};

/// "import", "plan-memory", ...
std::string_view phaseName(Phase phase);

/// The phase called `name`, or nothing.
std::optional<Phase> phaseFromName(std::string_view name);

/// All names, joined by ", ".
std::string phaseNames();

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_PIPELINE_PHASE_H
