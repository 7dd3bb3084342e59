// What a compilation did: for --report, and the summary in the manifest.
#ifndef EPIGRAPH_COMPILER_DRIVER_REPORT_H
#define EPIGRAPH_COMPILER_DRIVER_REPORT_H

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "compiler/import/ImportSummary.h"
#include "compiler/pipeline/Phase.h"

namespace epigraph {

/// How far the graph was fused. Known after the phase schedule.
///
/// An operation is a computation of the graph on activations (views, which cost nothing, are none).
/// It is fused if one launch does its work together with that of others: in a kernel of several
/// operations, or in one projection whose weight joins those of several.
struct FusionCount {
  uint64_t ops = 0;
  uint64_t fusedOps = 0;
  uint64_t launches = 0; ///< in one step of every function
  uint64_t kernels = 0;  ///< different ones

  double fusedShare() const {
    return ops ? static_cast<double>(fusedOps) / static_cast<double>(ops) : 0;
  }
};

/// What one rank does in one step of a function, by estimate (passes/schedule/WorkEstimate.h says
/// what is counted). Known after the phase schedule.
struct StepWork {
  struct Collective {
    uint64_t count = 0;             ///< operations of the kind
    double messages = 0, bytes = 0; ///< that one rank sends
  };

  std::string function; ///< "main", "mtp"
  // The step: tokens of this rank's batch in so many sequences, each token seeing `context`
  // positions.
  int64_t tokens = 0;
  int64_t sequences = 0;
  int64_t context = 0;
  double flops = 0;
  double weightBytes = 0;
  double activationReadBytes = 0;
  double activationWrittenBytes = 0;
  double cacheBytes = 0;
  /// By name of the operation: "all_gather". Those that occur.
  std::map<std::string, Collective> collectives;

  double bytes() const {
    return weightBytes + activationReadBytes + activationWrittenBytes + cacheBytes;
  }
};

struct Report {
  struct PassEntry {
    std::string pass; ///< its flag: "exec-plan-memory"
    std::vector<std::pair<std::string, std::string>> numbers;
  };

  std::string model; ///< architecture, as in config.json
  std::string target;
  std::string compute;
  std::string attention;
  int64_t ranks = 1;
  /// Known after the phase import, unless the compilation started after it.
  ImportSummary import;
  FusionCount fusion;
  /// Of each function: decoding one token, and the largest batch, halfway into the context.
  std::vector<StepWork> work;
  // Known after the phase pack; all in bytes.
  uint64_t checkpointBytes = 0;
  uint64_t sharedWeightBytes = 0;
  std::vector<uint64_t> rankWeightBytes;
  uint64_t arenaBytes = 0;
  uint64_t arenaNaiveBytes = 0;
  uint64_t cacheBytesPerToken = 0;
  /// In the order in which passes ran; one that reports by function has several.
  std::vector<PassEntry> passes;
  /// Seconds of each phase that ran.
  std::vector<std::pair<Phase, double>> seconds;
};

/// Lines for a person.
std::string printReport(const Report &report);

/// One JSON object and a newline; the fields of Report by their names in snake_case.
std::string printReportJson(const Report &report);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_REPORT_H
