#include "compiler/driver/Report.h"

#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace epigraph {

std::string printReport(const Report &report) {
  std::string text = absl::StrFormat("model      %s\n", report.model);
  for (const auto &[phase, seconds] : report.seconds)
    text += absl::StrFormat("%-12s %8.3f s\n", std::string(phaseName(phase)), seconds);
  return text;
}

std::string printReportJson(const Report &report) {
  nlohmann::json json;
  json["model"] = report.model;
  for (const auto &[phase, seconds] : report.seconds)
    json["seconds"][std::string(phaseName(phase))] = seconds;
  return json.dump(2) + "\n";
}

} // namespace epigraph
