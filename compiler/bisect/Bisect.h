// Finds where a compilation starts to give wrong numbers: the phase, the pass, the operation or the
// kernel. No LLVM in this header.
#ifndef EPIGRAPH_COMPILER_BISECT_BISECT_H
#define EPIGRAPH_COMPILER_BISECT_BISECT_H

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "compiler/driver/Compile.h"

namespace epigraph {

struct BisectOptions {
  /// What to compile and how; `output`, `stopAfter` and `observer` are not used.
  CompileOptions compile;
  /// Token ids of the sequences to run; empty: three short ones, the same in every run.
  std::vector<std::vector<int32_t>> sequences;
  /// Relative Frobenius distance from which results of two stages of the IR count as different.
  /// Rewrites that only reorder sums stay two orders of magnitude below the default.
  double tolerance = 1e-4;
  /// A shared object whose kernels are tested in place of those just compiled, such as
  /// `kernels.so` of an artifact. Empty: those just compiled.
  std::filesystem::path kernels;
  /// Folder for the divergence that is found: created, and filled, only then.
  std::filesystem::path save = "epigraph-bisect";
  /// Told what is compared next, one line each.
  std::function<void(const std::string &)> progress;
};

/// How far two values are apart.
struct Distance {
  double relative = 0; ///< Frobenius norm of the difference over that of what is expected
  double largest = 0;  ///< absolute difference of an element
};

/// Where numbers go wrong first.
struct Divergence {
  enum class Kind {
    Pass,      ///< the IR after a pass gives other results than before it
    Execution, ///< the IR after a pass does not run; `problem` says why
    Kernel,    ///< a compiled kernel gives other results than its body
  };
  Kind kind = Kind::Pass;
  std::string phase;
  std::string pass;     ///< its flag; empty for a kernel
  std::string function; ///< "main", "decode" or "mtp"
  std::string result;   ///< what of the function differs: "logits of step 2"
  Distance distance;    ///< of that, or of the kernel's result
  double tolerance = 0;
  std::string problem; ///< of Execution

  // The first value that is wrong, if one could be told from those that are only new.
  std::string op;       ///< "epi.add", or the kernel's name
  std::string location; ///< "model.layers.3.mlp"
  std::string text;     ///< the operation as IR
  /// From the value of the same place before the pass, if there is one.
  std::optional<Distance> opDistance;
};

struct BisectResult {
  std::optional<Divergence> divergence;
  std::filesystem::path saved; ///< the folder that was written; empty without a divergence
  size_t phases = 0, passes = 0, kernels = 0; ///< that were compared
  /// Why kernels were not run: the target's features, which this machine lacks. Else empty.
  std::string kernelsSkipped;
};

/// Compiles, runs every stage on the reference target and the kernels on this machine, and
/// compares. Errors: those of compileModel; InvalidArgument for ids outside the vocabulary or
/// sequences that are too long for the limits; those of writing the folder.
absl::StatusOr<BisectResult> bisect(const BisectOptions &options);

/// A result of a saved operation, run again on the reference target.
struct ReplayedResult {
  std::optional<Distance> fromActual;   ///< of the saved "actual.N"
  std::optional<Distance> fromExpected; ///< of the saved "expected.N"
};

/// Runs what bisect saved in `folder`. Errors: those of reading the files; InvalidArgument for
/// files that do not fit together; Unimplemented for an operation that needs other ranks.
absl::StatusOr<std::vector<ReplayedResult>> replay(const std::filesystem::path &folder);

/// Lines for a person.
std::string printReplayed(const std::vector<ReplayedResult> &results);
std::string printBisectResult(const BisectResult &result);

/// One JSON object and a newline.
std::string printBisectResultJson(const BisectResult &result);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_BISECT_BISECT_H
