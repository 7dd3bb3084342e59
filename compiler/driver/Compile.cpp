// The phases in order: import, lists of passes, kernels, packing; with the IR written out between
// them.
#include "compiler/driver/Compile.h"

#include <chrono>

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

#include "compiler/driver/CountFusion.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/driver/Package.h"
#include "compiler/driver/PassStatistics.h"
#include "compiler/driver/StagedArtifact.h"
#include "compiler/pipeline/Pipeline.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

std::string printIr(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  stream << '\n';
  return text;
}

/// A failing pass of these phases found something that the target or the mesh cannot do; of the
/// others, a bug.
absl::StatusCode failureCode(Phase phase) {
  return phase == Phase::Partition || phase == Phase::Codegen ? absl::StatusCode::kUnimplemented
                                                              : absl::StatusCode::kInternal;
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

private:
  absl::Status checkOptions();
  absl::Status runPhase(Phase phase);
  absl::Status import();
  absl::Status runPasses(Phase phase);
  absl::Status generateKernels();
  absl::Status dump(const std::string &name, const std::string &text);
  bool isCancelled() const { return options_.cancelled && *options_.cancelled; }

  const CompileOptions &options_;
  CompileResult result_; // Outlives the context, which reports to it.
  MLIRContext context_;
  DiagnosticCollector diagnostics_;
  CpuTarget target_;
  std::optional<Checkpoint> checkpoint_;
  ImportedModel model_;
  cpu::KernelLibrary kernels_;
};

/// What can be told before any work is done.
absl::Status Compilation::checkOptions() {
  if (options_.ranks < 1 || options_.ranks > UINT16_MAX)
    return absl::InvalidArgumentError(
        absl::StrCat("--ep is ", options_.ranks, "; expected 1 to ", UINT16_MAX));
  const ImportLimits &limits = options_.limits;
  if (limits.batchTokens < 1 || limits.batchTokens > INT32_MAX || limits.sequences < 1 ||
      limits.sequences > INT32_MAX || limits.maxContext.value_or(1) < 1)
    return absl::InvalidArgumentError("--max-batch-tokens, --max-seqs and --max-context must be "
                                      "positive and less than 2^31");
  llvm::Expected<CpuTarget> target = parseCpuTarget(options_.target);
  if (!target)
    return absl::UnimplementedError(llvm::toString(target.takeError()));
  target_ = *target;
  if (options_.stopAfter.value_or(Phase::Pack) != Phase::Pack)
    return absl::OkStatus();
  if (options_.output.empty())
    return absl::InvalidArgumentError("no output is named: give -o NAME.epi");
  return checkOutput(options_.output);
}

absl::StatusOr<CompileResult> Compilation::run() {
  EPIGRAPH_RETURN_IF_ERROR(checkOptions());
  Report &report = result_.report;
  report.target = options_.target;
  report.compute = options_.compute == ComputeType::Float32 ? "float32" : "bf16";
  report.attention = options_.attention == AttentionSharing::Data ? "data" : "replicated";
  report.ranks = options_.ranks;
  for (Phase phase : kPhases) {
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
  if (phase == Phase::Pack)
    return diagnostics_.withErrors(
        packageArtifact(options_, model_, *checkpoint_, target_, kernels_, result_.report));
  EPIGRAPH_RETURN_IF_ERROR(phase == Phase::Import ? import() : runPasses(phase));
  if (phase == Phase::Schedule)
    result_.report.fusion = countFusion(*model_.module);
  if (phase == Phase::Codegen)
    EPIGRAPH_RETURN_IF_ERROR(generateKernels());
  if (options_.dumpDirectory.empty())
    return absl::OkStatus();
  return dump(std::string(phaseName(phase)), printIr(*model_.module));
}

absl::Status Compilation::import() {
  EPIGRAPH_ASSIGN_OR_RETURN(checkpoint_, Checkpoint::open(options_.model));
  auto model = importModel(context_, *checkpoint_, options_.limits);
  EPIGRAPH_RETURN_IF_ERROR(diagnostics_.withErrors(model.status()));
  model_ = std::move(*model);
  result_.report.model = model_.architecture;
  result_.report.checkpointBytes = checkpoint_->totalBytes();
  return absl::OkStatus();
}

absl::Status Compilation::runPasses(Phase phase) {
  PassManager passes(&context_);
  PipelineOptions options;
  options.ranks = options_.ranks;
  options.attention = options_.attention == AttentionSharing::Data ? ep::AttentionMode::Data
                                                                   : ep::AttentionMode::Replicated;
  options.compute = options_.compute;
  buildPhase(passes, phase, options);
  if (succeeded(passes.run(*model_.module)))
    return absl::OkStatus();
  return diagnostics_.takeErrors(failureCode(phase), phaseName(phase));
}

absl::Status Compilation::generateKernels() {
  if (failed(cpu::buildKernelLibrary(*model_.module, target_, kernels_)))
    return diagnostics_.takeErrors(failureCode(Phase::Codegen), phaseName(Phase::Codegen));
  return options_.dumpDirectory.empty() ? absl::OkStatus()
                                        : dump("codegen-kernels", kernels_.kernelsMlir);
}

absl::Status Compilation::dump(const std::string &name, const std::string &text) {
  std::error_code error;
  std::filesystem::create_directories(options_.dumpDirectory, error);
  if (error)
    return errnoStatus(error.value(), "creating", options_.dumpDirectory);
  size_t number = result_.report.seconds.size(); // Phases that are done.
  std::string file = absl::StrCat(absl::Dec(number, absl::kZeroPad2), "-", name, ".mlir");
  return writeFileAtomically(options_.dumpDirectory / file, text);
}

} // namespace

absl::StatusOr<CompileResult> compileModel(const CompileOptions &options) {
  return Compilation(options).run();
}

} // namespace epigraph
