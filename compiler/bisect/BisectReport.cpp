// What bisect found, for a person and for programs.
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

#include "compiler/bisect/Bisect.h"

namespace epigraph {
namespace {

const char *nameOf(Divergence::Kind kind) {
  switch (kind) {
  case Divergence::Kind::Pass:
    return "pass";
  case Divergence::Kind::Execution:
    return "execution";
  case Divergence::Kind::Kernel:
    return "kernel";
  }
  return "";
}

std::string distanceText(const Distance &distance) {
  return absl::StrFormat("relative error %.3g, largest difference %.3g", distance.relative,
                         distance.largest);
}

std::string describe(const Divergence &divergence) {
  std::string text;
  if (divergence.kind == Divergence::Kind::Kernel)
    absl::StrAppendFormat(&text, "kernel @%s at %s differs from its body\n", divergence.op,
                          divergence.location);
  else
    absl::StrAppendFormat(&text, "pass %s of phase %s %s\n", divergence.pass, divergence.phase,
                          divergence.kind == Divergence::Kind::Pass
                              ? "changes the results"
                              : "leaves IR that does not run");
  if (!divergence.problem.empty())
    absl::StrAppendFormat(&text, "  %s\n", divergence.problem);
  else
    absl::StrAppendFormat(&text, "  @%s, %s: %s (tolerance %.3g)\n", divergence.function,
                          divergence.result, distanceText(divergence.distance),
                          divergence.tolerance);
  if (divergence.kind == Divergence::Kind::Pass && !divergence.op.empty()) {
    absl::StrAppendFormat(&text, "  first wrong value: %s at %s", divergence.op,
                          divergence.location);
    if (divergence.opDistance)
      absl::StrAppendFormat(&text, ", %s from the value there before the pass",
                            distanceText(*divergence.opDistance));
    text += '\n';
  }
  if (!divergence.text.empty())
    absl::StrAppendFormat(&text, "  %s\n", divergence.text);
  return text;
}

nlohmann::json jsonOf(const Distance &distance) {
  return {{"relative", distance.relative}, {"largest", distance.largest}};
}

nlohmann::json jsonOf(const Divergence &divergence) {
  nlohmann::json json = {
      {"kind", nameOf(divergence.kind)},
      {"phase", divergence.phase},
      {"pass", divergence.pass},
      {"function", divergence.function},
      {"result", divergence.result},
      {"distance", jsonOf(divergence.distance)},
      {"tolerance", divergence.tolerance},
      {"problem", divergence.problem},
      {"op", divergence.op},
      {"location", divergence.location},
      {"text", divergence.text},
  };
  json["op_distance"] = divergence.opDistance ? jsonOf(*divergence.opDistance) : nlohmann::json();
  return json;
}

} // namespace

std::string printBisectResult(const BisectResult &result) {
  std::string text;
  if (result.divergence)
    text = describe(*result.divergence);
  else
    absl::StrAppendFormat(&text, "no divergence in %d phases and %d kernels\n", result.phases,
                          result.kernels);
  if (!result.kernelsSkipped.empty())
    absl::StrAppendFormat(&text, "kernels were not run: %s\n", result.kernelsSkipped);
  if (!result.saved.empty())
    absl::StrAppendFormat(&text, "  saved in %s\n", result.saved.string());
  return text;
}

std::string printReplayed(const std::vector<ReplayedResult> &results) {
  std::string text;
  for (size_t i = 0; i < results.size(); ++i) {
    absl::StrAppendFormat(&text, "result %d on the reference\n", i);
    if (results[i].fromActual)
      absl::StrAppendFormat(&text, "  saved as actual:   %s\n",
                            distanceText(*results[i].fromActual));
    if (results[i].fromExpected)
      absl::StrAppendFormat(&text, "  saved as expected: %s\n",
                            distanceText(*results[i].fromExpected));
  }
  return text;
}

std::string printBisectResultJson(const BisectResult &result) {
  nlohmann::json json = {
      {"divergence", result.divergence ? jsonOf(*result.divergence) : nlohmann::json()},
      {"saved", result.saved.string()},
      {"phases", result.phases},
      {"passes", result.passes},
      {"kernels", result.kernels},
      {"kernels_skipped", result.kernelsSkipped},
  };
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace epigraph
