// What a compilation did: for --report, and the summary in the manifest.
#ifndef EPIGRAPH_COMPILER_DRIVER_REPORT_H
#define EPIGRAPH_COMPILER_DRIVER_REPORT_H

#include <string>
#include <utility>
#include <vector>

#include "compiler/pipeline/Phase.h"

namespace epigraph {

struct Report {
  std::string model; ///< architecture, as in config.json
  /// Seconds of each phase that ran.
  std::vector<std::pair<Phase, double>> seconds;
};

/// Lines for a person.
std::string printReport(const Report &report);

/// One JSON object, with a newline.
std::string printReportJson(const Report &report);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_REPORT_H
