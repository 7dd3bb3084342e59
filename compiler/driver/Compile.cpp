// The phases in order: import, lists of passes, kernels, packing; with the IR written out between
// them.
#include "compiler/driver/Compile.h"

#include <chrono>

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

#include "compiler/driver/CompileObserver.h"
#include "compiler/driver/CompiledKernels.h"
#include "compiler/driver/CountFusion.h"
#include "compiler/driver/CountWork.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/driver/Package.h"
#include "compiler/driver/PassPlugins.h"
#include "compiler/driver/PassStatistics.h"
#include "compiler/driver/RandomWeightPlan.h"
#include "compiler/driver/Reproducer.h"
#include "compiler/driver/StagedArtifact.h"
#include "compiler/driver/StartModule.h"
#include "compiler/driver/TargetAttribute.h"
#include "compiler/pipeline/Pipeline.h"
#include "passes/partition/LoadFile.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

std::string printIr(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  // With locations, which name the layers: who reads it sees them, and `startFrom` keeps them.
  module.print(stream, OpPrintingFlags().enableDebugInfo().useLocalScope());
  stream << '\n';
  return text;
}

/// A failing pass of these phases usually found something that the target or the mesh cannot do; of
/// the others, a bug.
absl::StatusCode failureCode(Phase phase) {
  return phase == Phase::Partition || phase == Phase::Codegen ? absl::StatusCode::kUnimplemented
                                                              : absl::StatusCode::kInternal;
}

/// Why there is no such target.
absl::Status targetStatus(llvm::Error error) {
  std::error_code kind;
  std::string message;
  llvm::handleAllErrors(std::move(error), [&](const llvm::StringError &problem) {
    kind = problem.convertToErrorCode();
    message = problem.getMessage();
  });
  if (kind == std::errc::invalid_argument)
    return withCode(ErrorCode::BadTargetFile, absl::InvalidArgumentError(message));
  return withCode(kind == std::errc::not_supported ? ErrorCode::TargetTooOld
                                                   : ErrorCode::UnknownTarget,
                  absl::UnimplementedError(message));
}

/// One compilation.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options)
      : options_(options), context_(MLIRContext::Threading::DISABLED),
        diagnostics_(&context_, options.warning) {
    context_.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, func::FuncDialect>();
    context_.printOpOnDiagnostic(false); // The message and its place are enough for a user.
    collectPassStatistics(context_, result_.report.passes);
  }

  absl::StatusOr<CompileResult> run();

  /// Whether a pass crashed. What it worked on must not be touched again.
  bool crashed() const { return crashed_; }

private:
  absl::Status checkOptions();
  absl::Status checkPhases();
  absl::Status preparePipeline();
  absl::Status runPhase(Phase phase);
  absl::Status import();
  absl::Status start();
  absl::Status countSchedule();
  absl::Status runPasses(Phase phase);
  absl::Status passFailure(Phase phase, const Reproducer &reproducer);
  absl::Status generateKernels();
  absl::Status dump(Phase phase, const std::string &suffix, const std::string &text);
  bool skips(Phase phase) const;
  bool isCancelled() const { return options_.cancelled && *options_.cancelled; }

  const CompileOptions &options_;
  CompileResult result_; // Outlives the context, which reports to it.
  MLIRContext context_;
  DiagnosticCollector diagnostics_;
  Target target_;
  std::optional<Checkpoint> checkpoint_;
  ImportedModel model_;
  CompiledKernels kernels_;
  PipelineOptions pipeline_;
  bool crashed_ = false;
};

/// What can be told before any work is done.
absl::Status Compilation::checkOptions() {
  if (options_.ranks < 1 || options_.ranks > UINT16_MAX)
    return withCode(ErrorCode::BadLimit,
                    absl::InvalidArgumentError(
                        absl::StrCat("--ep is ", options_.ranks, "; expected 1 to ", UINT16_MAX)));
  if (options_.tensor < 1 || options_.tensor > UINT16_MAX / options_.ranks)
    return withCode(ErrorCode::BadLimit,
                    absl::InvalidArgumentError(
                        absl::StrCat("--tp is ", options_.tensor, "; expected 1 to ",
                                     UINT16_MAX / options_.ranks, " with --ep ", options_.ranks)));
  if (!options_.expertLoad.empty())
    if (auto loads = readExpertLoads(options_.expertLoad.string()); !loads)
      return absl::InvalidArgumentError("--expert-load: " + llvm::toString(loads.takeError()));
  const ImportLimits &limits = options_.limits;
  if (limits.batchTokens < 1 || limits.batchTokens > INT32_MAX || limits.sequences < 1 ||
      limits.sequences > INT32_MAX || limits.maxContext.value_or(1) < 1)
    return withCode(ErrorCode::BadLimit,
                    absl::InvalidArgumentError("--max-batch-tokens, --max-seqs and --max-context "
                                               "must be positive and less than 2^31"));
  llvm::Expected<Target> target = parseTarget(options_.target);
  if (!target)
    return targetStatus(target.takeError());
  target_ = *target;
  EPIGRAPH_RETURN_IF_ERROR(checkPhases());
  EPIGRAPH_RETURN_IF_ERROR(preparePipeline());
  if (options_.stopAfter.value_or(Phase::Pack) != Phase::Pack)
    return absl::OkStatus();
  if (options_.output.empty())
    return withCode(ErrorCode::Usage,
                    absl::InvalidArgumentError("no output is named: give -o NAME.epi"));
  return checkOutput(options_.output);
}

absl::Status Compilation::checkPhases() {
  if (options_.startFrom.empty())
    return absl::OkStatus();
  if (options_.startPhase == Phase::Import)
    return withCode(
        ErrorCode::WrongStartPhase,
        absl::InvalidArgumentError("--start-from stands in place of the phase import, so "
                                   "--start-phase must be a later one"));
  if (options_.stopAfter.value_or(Phase::Pack) < options_.startPhase)
    return withCode(ErrorCode::WrongStartPhase,
                    absl::InvalidArgumentError(absl::StrCat(
                        "--stop-after ", std::string(phaseName(*options_.stopAfter)),
                        " comes before --start-phase ", std::string(phaseName(options_.startPhase)),
                        ", so --start-phase must be that phase or an earlier one")));
  return absl::OkStatus();
}

/// Which passes will run.
absl::Status Compilation::preparePipeline() {
  registerPasses();
  EPIGRAPH_RETURN_IF_ERROR(loadPassPlugins(options_.passPlugins));
  pipeline_.ranks = options_.ranks;
  pipeline_.tensor = options_.tensor;
  pipeline_.tensorMode = options_.tensorMode;
  pipeline_.expertLoad = options_.expertLoad.string();
  pipeline_.redundantExperts = options_.redundantExperts;
  pipeline_.attention = options_.attention == AttentionSharing::Data
                            ? ep::AttentionMode::Data
                            : ep::AttentionMode::Replicated;
  pipeline_.compute = options_.compute;
  pipeline_.batches = options_.batches;
  pipeline_.fusionLevel = options_.fusionLevel;
  pipeline_.packsWeights = !target_.cuda;
  pipeline_.fp8Activations = target_.cuda.has_value();
  pipeline_.gatedEpilogues = target_.cuda.has_value();
  pipeline_.appendsInRows = target_.cuda.has_value();
  pipeline_.rotatesQueries = target_.cuda.has_value();
  pipeline_.fusedPermutation = target_.cuda.has_value();
  pipeline_.peerExchanges = target_.cuda.has_value();
  pipeline_.sampleOnTarget = target_.cuda.has_value();
  pipeline_.optimize = options_.optimize;
  pipeline_.disabled = options_.disabledPasses;
  for (const std::string &text : options_.insertedPasses) {
    EPIGRAPH_ASSIGN_OR_RETURN(pipeline_.inserted.emplace_back(), parseInsertedPass(text));
  }
  return checkPipeline(pipeline_);
}

/// Whether IR that the compilation starts from has been through `phase`.
bool Compilation::skips(Phase phase) const {
  return !options_.startFrom.empty() && phase != Phase::Import && phase < options_.startPhase;
}

absl::StatusOr<CompileResult> Compilation::run() {
  EPIGRAPH_RETURN_IF_ERROR(checkOptions());
  Report &report = result_.report;
  report.target = options_.target;
  report.compute = options_.compute == ComputeType::Float32 ? "float32" : "bf16";
  report.attention = options_.attention == AttentionSharing::Data ? "data" : "replicated";
  report.ranks = options_.ranks * options_.tensor;
  for (Phase phase : kPhases) {
    if (skips(phase))
      continue;
    if (isCancelled())
      return absl::CancelledError("interrupted");
    if (options_.progress)
      options_.progress(phase, 0);
    Clock::time_point start = Clock::now();
    EPIGRAPH_RETURN_IF_ERROR(runPhase(phase));
    std::chrono::duration<double> seconds = Clock::now() - start;
    report.seconds.emplace_back(phase, seconds.count());
    if (options_.stopAfter == phase) {
      result_.ir = printIr(*model_.module);
      break;
    }
  }
  return std::move(result_);
}

absl::Status Compilation::runPhase(Phase phase) {
  if (phase == Phase::Pack) {
    if (kernels_.files.empty()) // The compilation starts here.
      EPIGRAPH_RETURN_IF_ERROR(generateKernels());
    return diagnostics_.withErrors(
        packageArtifact(options_, model_, *checkpoint_, target_, kernels_, result_.report));
  }
  if (phase == Phase::Import)
    EPIGRAPH_RETURN_IF_ERROR(start());
  EPIGRAPH_RETURN_IF_ERROR(runPasses(phase));
  if (phase == Phase::Schedule)
    EPIGRAPH_RETURN_IF_ERROR(countSchedule());
  if (phase == Phase::Codegen)
    EPIGRAPH_RETURN_IF_ERROR(generateKernels());
  if (options_.dumpDirectory.empty())
    return absl::OkStatus();
  return dump(phase, "", printIr(*model_.module));
}

absl::Status Compilation::import() {
  auto model = importModel(context_, *checkpoint_, options_.limits);
  EPIGRAPH_RETURN_IF_ERROR(diagnostics_.withErrors(model.status()));
  model_ = std::move(*model);
  return absl::OkStatus();
}

/// Imports, or reads what was imported earlier.
absl::Status Compilation::start() {
  EPIGRAPH_ASSIGN_OR_RETURN(checkpoint_, options_.randomWeights
                                             ? Checkpoint::describedBy(options_.model)
                                             : Checkpoint::open(options_.model));
  if (options_.startFrom.empty()) {
    EPIGRAPH_RETURN_IF_ERROR(import());
  } else {
    EPIGRAPH_ASSIGN_OR_RETURN(model_,
                              readStartModule(context_, diagnostics_, options_, *checkpoint_));
    if (options_.startPhase > Phase::Schedule)
      EPIGRAPH_RETURN_IF_ERROR(countSchedule());
  }
  ModuleOp module = *model_.module;
  module->setAttr(exec::kTargetAttrName, targetAttribute(context_, target_));
  module->removeAttr(kRandomWeightsAttrName);
  if (options_.randomWeights)
    module->setAttr(kRandomWeightsAttrName, Builder(&context_).getI64IntegerAttr(
                                                static_cast<int64_t>(*options_.randomWeights)));
  result_.report.model = model_.architecture;
  result_.report.import = model_.summary;
  result_.report.checkpointBytes = checkpoint_->totalBytes();
  if (options_.observer)
    options_.observer->afterPass(Phase::Import, phaseName(Phase::Import), *model_.module);
  return absl::OkStatus();
}

/// What the report says of a module with launches.
absl::Status Compilation::countSchedule() {
  result_.report.fusion = countFusion(*model_.module);
  FailureOr<std::vector<StepWork>> work = countWork(*model_.module);
  if (failed(work))
    return diagnostics_.takeErrors(absl::StatusCode::kInternal, "counting the work of a step");
  result_.report.work = std::move(*work);
  return absl::OkStatus();
}

absl::Status Compilation::runPasses(Phase phase) {
  Reproducer reproducer;
  PassManager passes(&context_, ModuleOp::getOperationName(), PassManager::Nesting::Implicit);
  buildPhase(passes, phase, pipeline_);
  if (passes.empty())
    return absl::OkStatus();
  reproducer.watch(passes);
  if (options_.observer)
    passes.addInstrumentation(observePasses(*options_.observer, phase));
  if (succeeded(passes.run(*model_.module)))
    return absl::OkStatus();
  crashed_ = reproducer.crashed();
  return passFailure(phase, reproducer);
}

/// What the failing pass said, and how to replay it.
absl::Status Compilation::passFailure(Phase phase, const Reproducer &reproducer) {
  absl::Status status =
      reproducer.crashed()
          ? absl::InternalError(absl::StrCat(std::string(phaseName(phase)), ": the pass ",
                                             reproducer.failedPass(), " crashed"))
          : diagnostics_.takeErrors(failureCode(phase), phaseName(phase));
  if (errorCodeOf(status) && options_.reproducer.empty())
    return status; // A refusal: the pass did what it should.
  if (status.code() == absl::StatusCode::kInternal)
    status = withCode(ErrorCode::PassFailed, std::move(status));
  absl::StatusOr<std::string> command = reproducer.write(options_);
  std::string more = command.ok() ? "\nto replay the failing pass: " + *command
                                  : "\nno reproducer: " + std::string(command.status().message());
  return withCodeOf(status, absl::Status(status.code(), absl::StrCat(status.message(), more)));
}

absl::Status Compilation::generateKernels() {
  auto kernels = compileKernels(*model_.module, target_);
  if (failed(kernels))
    return diagnostics_.takeErrors(failureCode(Phase::Codegen), phaseName(Phase::Codegen));
  kernels_ = std::move(*kernels);
  if (options_.observer)
    options_.observer->afterKernels(*model_.module, kernels_);
  return options_.dumpDirectory.empty() ? absl::OkStatus()
                                        : dump(Phase::Codegen, "-kernels", kernels_.text);
}

/// Writes NN-PHASESUFFIX.mlir.
absl::Status Compilation::dump(Phase phase, const std::string &suffix, const std::string &text) {
  std::error_code error;
  std::filesystem::create_directories(options_.dumpDirectory, error);
  if (error)
    return errnoStatus(error.value(), "creating", options_.dumpDirectory);
  std::string file = absl::StrCat(absl::Dec(static_cast<int>(phase), absl::kZeroPad2), "-",
                                  std::string(phaseName(phase)), suffix, ".mlir");
  return writeFileAtomically(options_.dumpDirectory / file, text);
}

} // namespace

absl::StatusOr<CompileResult> compileModel(const CompileOptions &options) {
  auto compilation = std::make_unique<Compilation>(options);
  absl::StatusOr<CompileResult> result = compilation->run();
  if (compilation->crashed())
    (void)compilation.release(); // Destroying half-rewritten IR could crash again.
  return result;
}

} // namespace epigraph
