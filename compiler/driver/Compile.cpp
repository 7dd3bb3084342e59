// The phases in order: import, then lists of passes, with the IR written out between them.
#include "compiler/driver/Compile.h"

#include <chrono>

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

#include "compiler/driver/Diagnostics.h"
#include "compiler/import/Importer.h"
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
      : options_(options), diagnostics_(&context_, options.warning) {
    context_.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, func::FuncDialect>();
  }

  absl::StatusOr<CompileResult> run();

private:
  absl::Status runPhase(Phase phase);
  absl::Status import();
  absl::Status runPasses(Phase phase);
  absl::Status dump(Phase phase);

  const CompileOptions &options_;
  MLIRContext context_;
  DiagnosticCollector diagnostics_;
  std::optional<Checkpoint> checkpoint_;
  ImportedModel model_;
  CompileResult result_;
};

absl::StatusOr<CompileResult> Compilation::run() {
  for (Phase phase : kPhases) {
    if (options_.cancelled && *options_.cancelled)
      return absl::CancelledError("interrupted");
    if (options_.progress)
      options_.progress(phase, 0);
    Clock::time_point start = Clock::now();
    EPIGRAPH_RETURN_IF_ERROR(runPhase(phase));
    std::chrono::duration<double> seconds = Clock::now() - start;
    result_.report.seconds.emplace_back(phase, seconds.count());
    EPIGRAPH_RETURN_IF_ERROR(dump(phase));
    if (options_.stopAfter == phase) {
      result_.ir = printIr(*model_.module);
      break;
    }
  }
  return std::move(result_);
}

absl::Status Compilation::runPhase(Phase phase) {
  switch (phase) {
  case Phase::Import:
    return import();
  default:
    return runPasses(phase);
  }
}

absl::Status Compilation::import() {
  EPIGRAPH_ASSIGN_OR_RETURN(checkpoint_, Checkpoint::open(options_.model));
  auto model = importModel(context_, *checkpoint_, options_.limits);
  if (absl::IsInternal(model.status()))
    return diagnostics_.takeErrors(absl::StatusCode::kInternal, phaseName(Phase::Import));
  EPIGRAPH_RETURN_IF_ERROR(model.status());
  model_ = std::move(*model);
  result_.report.model = model_.architecture;
  return absl::OkStatus();
}

absl::Status Compilation::runPasses(Phase phase) {
  PassManager passes(&context_);
  passes.enableVerifier(true);
  PipelineOptions options;
  options.ranks = options_.ranks;
  options.attention = options_.attention == AttentionSharing::Data ? "data" : "replicated";
  options.compute = options_.compute == ComputeType::Float32 ? "float32" : "bfloat16";
  buildPhase(passes, phase, options);
  if (succeeded(passes.run(*model_.module)))
    return absl::OkStatus();
  return diagnostics_.takeErrors(failureCode(phase), phaseName(phase));
}

absl::Status Compilation::dump(Phase phase) {
  if (options_.dumpDirectory.empty())
    return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(options_.dumpDirectory, error);
  if (error)
    return errnoStatus(error.value(), "creating", options_.dumpDirectory);
  std::string name = absl::StrCat(absl::Dec(static_cast<int>(phase), absl::kZeroPad2), "-",
                                  abslView(phaseName(phase)), ".mlir");
  return writeFileAtomically(options_.dumpDirectory / name, printIr(*model_.module));
}

} // namespace

absl::StatusOr<CompileResult> compileModel(const CompileOptions &options) {
  return Compilation(options).run();
}

} // namespace epigraph
