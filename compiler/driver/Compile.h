// Compiling a model, as the command line and Python see it. No LLVM in this header.
#ifndef EPIGRAPH_COMPILER_DRIVER_COMPILE_H
#define EPIGRAPH_COMPILER_DRIVER_COMPILE_H

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "compiler/driver/Report.h"
#include "compiler/import/ImportLimits.h"
#include "compiler/pipeline/Phase.h"
#include "passes/partition/TensorMode.h"
#include "passes/quant/ComputeType.h"
#include "passes/schedule/BatchSplit.h"

namespace epigraph {

/// How attention is shared among ranks: all run it on all tokens, or each on sequences of its own.
enum class AttentionSharing { Replicated, Data };

class CompileObserver;

struct CompileOptions {
  /// A Hugging Face checkpoint folder; with `randomWeights`, a config.json will do.
  std::filesystem::path model;
  /// The seed of random weights in place of the checkpoint's. The artifact holds almost none of
  /// them: the runtime makes them when it loads the artifact.
  std::optional<uint64_t> randomWeights;
  /// The artifact, "NAME.epi"; not used when `stopAfter` ends before Pack. An artifact there is
  /// replaced, once the new one is complete; anything else there is an error.
  std::filesystem::path output;
  /// "cpu" (this machine), "cpu:x86-64-v3", "cpu:x86-64-v4", ...
  std::string target = "cpu";
  /// Groups of ranks, which share the experts.
  int64_t ranks = 1;
  /// Ranks of each group, which share projections, heads and each expert: tensor parallelism.
  int64_t tensor = 1;
  TensorMode tensorMode = TensorMode::Auto;
  /// A file of measured loads (docs/how-to/place-experts.md), by which experts are placed. Empty:
  /// expert e goes to group e * ranks / experts.
  std::filesystem::path expertLoad;
  /// With `expertLoad`: replicas of busy experts in each layer, over all groups.
  int64_t redundantExperts = 0;
  AttentionSharing attention = AttentionSharing::Replicated;
  ComputeType compute = ComputeType::BFloat16;
  ImportLimits limits;
  /// Whether exchanges of one half of a batch run behind the other half's experts. Auto takes links
  /// to work beside the devices, which between ranks of one process none does.
  BatchSplit batches = BatchSplit::One;
  /// How far operations are put together into kernels: 0 (not at all) to 3.
  int64_t fusionLevel = 2;
  /// False: every pass that may be left out is.
  bool optimize = true;
  /// Flags of optimisations to leave out wherever they would run: "epi-fuse-swiglu".
  std::vector<std::string> disabledPasses;
  /// Shared objects that register passes (MLIR pass plugins).
  std::vector<std::filesystem::path> passPlugins;
  /// Passes to add, "NAME@PHASE" or "NAME{options}@PHASE": each runs after its phase's own passes.
  std::vector<std::string> insertedPasses;
  /// Starts from this IR, which an earlier compilation of `model` wrote (dumpDirectory, or the IR
  /// of stopAfter), in place of importing; `limits` are then the IR's. Empty: imports.
  std::filesystem::path startFrom;
  /// With `startFrom`: the first phase to run.
  Phase startPhase = Phase::Canonicalize;
  /// Ends after this phase, with no artifact unless it is Pack.
  std::optional<Phase> stopAfter;
  /// Writes NN-PHASE.mlir after each phase; empty: nothing.
  std::filesystem::path dumpDirectory;
  /// Where a failing pass leaves what replays it. Empty: epigraph-reproducer-PASS.mlir in
  /// dumpDirectory, or else in the working directory; and none for refusals that have a code, which
  /// are no failures of a pass.
  std::filesystem::path reproducer;
  /// Puts the IR after codegen into the artifact, for `epigraph inspect --graph`.
  bool keepIr = false;
  /// Called as each phase starts, and within long ones with the share done, from 0 to 1.
  std::function<void(Phase, double)> progress;
  /// Warnings of passes, one line each.
  std::function<void(std::string_view)> warning;
  /// Polled; once true, compiling ends with Cancelled and nothing is left behind.
  const std::atomic<bool> *cancelled = nullptr;
  /// Told of every pass (compiler/driver/CompileObserver.h).
  CompileObserver *observer = nullptr;
};

struct CompileResult {
  Report report;
  /// With `stopAfter`: the IR after that phase, as text, with the location of every operation.
  std::string ir;
};

/// Compiles. Errors say what is wrong with which input: InvalidArgument and NotFound (checkpoint,
/// output, limits), Unimplemented (architecture, target, ranks that do not divide the experts),
/// Cancelled; Internal is a bug. Most carry an error code (runtime/base/ErrorCode.h). After any of
/// them, no file is left behind but dumps and reproducers.
absl::StatusOr<CompileResult> compileModel(const CompileOptions &options);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_COMPILE_H
