// One compilation, watched: the IR after each pass is kept as text. Then phases are run in order
// until one differs from the import, the passes of that phase until one does, and the values of
// that pass's two modules are traced. Only when all IR agrees are kernels run. Passes that change
// nothing cost nothing. Memory: the texts, and the sampled values of two modules in one step.
#include "compiler/bisect/Bisect.h"

#include "absl/strings/str_format.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

#include "codegen/target/Target.h"
#include "compiler/bisect/FirstWrongValue.h"
#include "compiler/bisect/KernelCheck.h"
#include "compiler/driver/CompileObserver.h"
#include "runtime/artifact/Checkpoint.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"
#include "runtime/device/CpuFeatures.h"

using namespace mlir;

namespace epigraph {
namespace {

using namespace bisection;

std::string printed(Operation *op, bool locations) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  OpPrintingFlags flags;
  if (locations)
    flags.enableDebugInfo(true, /*prettyForm=*/false);
  op->print(stream, flags);
  return text;
}

/// The module after a pass.
struct Snapshot {
  Phase phase;
  std::string pass;
  std::shared_ptr<const std::string> ir; ///< shared with the one before if nothing changed
};

class Recorder : public CompileObserver {
public:
  void afterPass(Phase phase, std::string_view pass, ModuleOp module) override {
    std::string text = printed(module, /*locations=*/true);
    const bool same = !snapshots.empty() && *snapshots.back().ir == text;
    snapshots.push_back(
        {phase, std::string(pass),
         same ? snapshots.back().ir : std::make_shared<const std::string>(std::move(text))});
  }

  void afterKernels(ModuleOp module, const CompiledKernels &kernels) override {
    // With the tilings, which codegen adds when all passes are done.
    withKernels = printed(module, /*locations=*/true);
    sharedObject = kernels.files.front().second;
  }

  std::vector<Snapshot> snapshots;
  std::string withKernels;
  std::string sharedObject;
};

class Bisection {
public:
  explicit Bisection(const BisectOptions &options)
      : options_(options), context_(MLIRContext::Threading::DISABLED),
        diagnostics_(&context_, nullptr) {
    context_.printOpOnDiagnostic(false);
    context_.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, func::FuncDialect>();
  }

  absl::StatusOr<BisectResult> run();

private:
  absl::Status compile();
  absl::Status prepare();
  absl::Status comparePhases();
  absl::Status comparePasses(size_t first, size_t last);
  absl::Status explain(size_t wrong, const absl::StatusOr<std::vector<Output>> &outputs);
  absl::Status traceValues(size_t wrong, const Output &output);
  absl::Status compareKernels();
  absl::Status saveKernel(const WrongKernel &wrong);

  absl::StatusOr<OwningOpRef<ModuleOp>> parse(const std::string &ir);
  absl::StatusOr<std::vector<Output>> runText(const std::string &ir);
  RunSetup setup(StepTracer *tracer, bool rounded);
  absl::Status save(const std::string &name, const std::string &text);
  void say(const std::string &text) {
    if (options_.progress)
      options_.progress(text);
  }
  std::string nameOf(const Snapshot &snapshot) const {
    return absl::StrCat(std::string(phaseName(snapshot.phase)), "/", snapshot.pass);
  }

  const BisectOptions &options_;
  MLIRContext context_;
  DiagnosticCollector diagnostics_;
  Recorder recorded_;
  std::optional<Checkpoint> checkpoint_;
  std::unique_ptr<reference::WeightSource> weights_;
  std::vector<ScriptStep> script_;
  std::vector<Output> expected_; ///< of the imported module
  BisectResult result_;
};

/// Keeps the values of one operation in one step.
class Capture : public StepTracer {
public:
  Capture(Operation *op, std::string function, size_t step)
      : op_(op), function_(std::move(function)), step_(step) {}

  void beginStep(StringRef function, size_t step) override {
    active_ = function == function_ && step == step_;
  }
  void before(const reference::RankContext &rank, Operation *op,
              const reference::RuntimeValues &operands) override {
    if (active_ && op == op_ && rank.rank == 0)
      values = valuesOf(rank, operands);
  }
  void after(const reference::RankContext &rank, Operation *op,
             const reference::RuntimeValues &results) override {
    if (!active_ || op != op_ || rank.rank != 0)
      return;
    size_t index = 0;
    for (const reference::RuntimeValue &result : results)
      if (auto *tensor = std::get_if<reference::TensorRef>(&result))
        values.emplace_back(absl::StrCat("actual.", index++), *tensor);
  }

  std::vector<NamedTensor> values;

private:
  Operation *op_;
  const std::string function_;
  const size_t step_;
  bool active_ = false;
};

absl::Status Bisection::compile() {
  CompileOptions compile = options_.compile;
  compile.output.clear();
  compile.stopAfter = Phase::Codegen;
  compile.observer = &recorded_;
  say("compiling");
  return compileModel(compile).status();
}

absl::Status Bisection::prepare() {
  EPIGRAPH_ASSIGN_OR_RETURN(checkpoint_, Checkpoint::open(options_.compile.model));
  weights_ = std::make_unique<reference::CheckpointWeights>(*checkpoint_);
  EPIGRAPH_ASSIGN_OR_RETURN(OwningOpRef<ModuleOp> imported, parse(*recorded_.snapshots.front().ir));
  auto model = (*imported)->getAttrOfType<epi::ModelAttr>(epi::kModelAttrName);
  auto limits = (*imported)->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  if (!model || !limits)
    return absl::InvalidArgumentError("the first IR has no epi.model or no exec.limits");
  const ScriptLimits bounds{model.getVocab(), limits.getBatchTokens(), limits.getSequences(),
                            limits.getMaxContext()};
  EPIGRAPH_ASSIGN_OR_RETURN(
      script_,
      makeScript(options_.sequences.empty() ? defaultSequences(bounds) : options_.sequences,
                 bounds));
  say("running the imported graph");
  EPIGRAPH_ASSIGN_OR_RETURN(expected_, runModel(*imported, setup(nullptr, /*rounded=*/false)));
  return absl::OkStatus();
}

RunSetup Bisection::setup(StepTracer *tracer, bool rounded) {
  return {*weights_, script_, diagnostics_, rounded, tracer};
}

absl::StatusOr<OwningOpRef<ModuleOp>> Bisection::parse(const std::string &ir) {
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(ir, ParserConfig(&context_));
  if (!module)
    return diagnostics_.takeErrors(absl::StatusCode::kInternal, "the IR does not parse again");
  return module;
}

absl::StatusOr<std::vector<Output>> Bisection::runText(const std::string &ir) {
  EPIGRAPH_ASSIGN_OR_RETURN(OwningOpRef<ModuleOp> module, parse(ir));
  return runModel(*module, setup(nullptr, /*rounded=*/false));
}

/// Phase by phase: the last snapshot of each stands for it.
absl::Status Bisection::comparePhases() {
  const std::vector<Snapshot> &snapshots = recorded_.snapshots;
  size_t right = 0; // The last snapshot known to be right.
  for (size_t i = 1; i < snapshots.size(); ++i) {
    if (i + 1 < snapshots.size() && snapshots[i + 1].phase == snapshots[i].phase)
      continue;
    ++result_.phases;
    if (snapshots[i].ir != snapshots[right].ir) {
      say(absl::StrCat("comparing phase ", std::string(phaseName(snapshots[i].phase))));
      absl::StatusOr<std::vector<Output>> outputs = runText(*snapshots[i].ir);
      if (!outputs.ok() || firstDifference(*outputs, expected_, options_.tolerance))
        return comparePasses(right + 1, i);
    }
    right = i;
  }
  return absl::OkStatus();
}

/// Snapshots [first, last] of a phase whose last one is wrong.
absl::Status Bisection::comparePasses(size_t first, size_t last) {
  const std::vector<Snapshot> &snapshots = recorded_.snapshots;
  for (size_t i = first; i <= last; ++i) {
    ++result_.passes;
    if (snapshots[i].ir == snapshots[i - 1].ir)
      continue;
    say(absl::StrCat("comparing pass ", snapshots[i].pass));
    absl::StatusOr<std::vector<Output>> outputs = runText(*snapshots[i].ir);
    if (!outputs.ok() || firstDifference(*outputs, expected_, options_.tolerance))
      return explain(i, outputs);
  }
  return absl::InternalError("a phase gives other results than its last pass");
}

absl::Status Bisection::save(const std::string &name, const std::string &text) {
  std::error_code error;
  std::filesystem::create_directories(options_.save, error);
  if (error)
    return errnoStatus(error.value(), "creating", options_.save);
  result_.saved = options_.save;
  return writeFileAtomically(options_.save / name, text);
}

/// Says what the pass behind snapshot `wrong` did.
absl::Status Bisection::explain(size_t wrong, const absl::StatusOr<std::vector<Output>> &outputs) {
  const Snapshot &snapshot = recorded_.snapshots[wrong];
  Divergence &divergence = result_.divergence.emplace();
  divergence.phase = phaseName(snapshot.phase);
  divergence.pass = snapshot.pass;
  divergence.tolerance = options_.tolerance;
  EPIGRAPH_RETURN_IF_ERROR(save("before.mlir", *recorded_.snapshots[wrong - 1].ir));
  EPIGRAPH_RETURN_IF_ERROR(save("after.mlir", *snapshot.ir));
  if (!outputs.ok() || outputs->size() != expected_.size()) {
    divergence.kind = Divergence::Kind::Execution;
    divergence.problem = outputs.ok() ? absl::StrCat("gives ", outputs->size(),
                                                     " results, expected ", expected_.size())
                                      : std::string(outputs.status().message());
    return absl::OkStatus();
  }
  const auto difference = *firstDifference(*outputs, expected_, options_.tolerance);
  const Output &output = (*outputs)[difference.first];
  divergence.kind = Divergence::Kind::Pass;
  divergence.function = output.function;
  divergence.result = absl::StrCat(output.name, " of step ", output.step);
  divergence.distance = difference.second;
  return traceValues(wrong, output);
}

/// Looks for the operation in the step of `output`, where results differ first.
absl::Status Bisection::traceValues(size_t wrong, const Output &output) {
  say("looking for the first wrong value");
  EPIGRAPH_ASSIGN_OR_RETURN(OwningOpRef<ModuleOp> before,
                            parse(*recorded_.snapshots[wrong - 1].ir));
  EPIGRAPH_ASSIGN_OR_RETURN(OwningOpRef<ModuleOp> after, parse(*recorded_.snapshots[wrong].ir));
  const bool mtp = output.function == "mtp";
  ValueTrace right(mtp, output.step), now(mtp, output.step);
  EPIGRAPH_RETURN_IF_ERROR(runModel(*before, setup(&right, false)).status());
  EPIGRAPH_RETURN_IF_ERROR(runModel(*after, setup(&now, false)).status());
  auto function = after->lookupSymbol<func::FuncOp>(output.function);
  std::optional<WrongValue> value = findFirstWrong(function, right, now, options_.tolerance);
  if (!value)
    return absl::OkStatus();
  Operation *op = value->inner ? value->inner : value->op;
  Divergence &divergence = *result_.divergence;
  divergence.op = op->getName().getStringRef().str();
  divergence.location = locationText(op->getLoc());
  divergence.text = printed(op, /*locations=*/false);
  divergence.opDistance = value->distance;

  Capture capture(value->op, output.function, output.step);
  EPIGRAPH_RETURN_IF_ERROR(runModel(*after, setup(&capture, false)).status());
  EPIGRAPH_RETURN_IF_ERROR(save("op.mlir", isolate(value->op)));
  return writeTensors(options_.save / "values.safetensors", capture.values);
}

absl::Status Bisection::compareKernels() {
  llvm::Expected<Target> target = parseTarget(options_.compile.target);
  if (!target)
    return absl::InvalidArgumentError(llvm::toString(target.takeError()));
  if (target->cuda) {
    result_.kernelsSkipped = "kernels of a GPU are compared by the tests in test/gpu";
    return absl::OkStatus();
  }
  if (absl::Status usable = requireCpuFeatures(target->cpu.requiredFeatures); !usable.ok()) {
    result_.kernelsSkipped = std::string(usable.message());
    return absl::OkStatus();
  }
  absl::StatusOr<LoadedKernels> kernels = options_.kernels.empty()
                                              ? LoadedKernels::load(recorded_.sharedObject)
                                              : LoadedKernels::open(options_.kernels);
  if (!kernels.ok())
    return kernels.status();
  say("comparing kernels");
  EPIGRAPH_ASSIGN_OR_RETURN(OwningOpRef<ModuleOp> module, parse(recorded_.withKernels));
  KernelCheck check(*kernels);
  EPIGRAPH_RETURN_IF_ERROR(runModel(*module, setup(&check, /*rounded=*/true)).status());
  EPIGRAPH_RETURN_IF_ERROR(check.status());
  result_.kernels = check.kernels();
  return check.wrong() ? saveKernel(*check.wrong()) : absl::OkStatus();
}

absl::Status Bisection::saveKernel(const WrongKernel &wrong) {
  auto launch = cast<exec::LaunchOp>(wrong.launch);
  Divergence &divergence = result_.divergence.emplace();
  divergence.kind = Divergence::Kind::Kernel;
  divergence.phase = phaseName(Phase::Codegen);
  divergence.function = wrong.function;
  divergence.result = absl::StrCat(wrong.result, " in step ", wrong.step,
                                   wrong.random ? ", on random activations" : "");
  divergence.distance = wrong.distance;
  divergence.tolerance = wrong.tolerance;
  divergence.op = launch.getKernel().str();
  divergence.location = locationText(launch.getLoc());
  auto kernel =
      SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(launch, launch.getKernelAttr());
  divergence.text = printed(kernel, /*locations=*/false);
  EPIGRAPH_RETURN_IF_ERROR(save("op.mlir", isolate(launch)));
  return writeTensors(options_.save / "values.safetensors", wrong.values);
}

absl::StatusOr<BisectResult> Bisection::run() {
  EPIGRAPH_RETURN_IF_ERROR(compile());
  EPIGRAPH_RETURN_IF_ERROR(prepare());
  EPIGRAPH_RETURN_IF_ERROR(comparePhases());
  if (!result_.divergence)
    EPIGRAPH_RETURN_IF_ERROR(compareKernels());
  return std::move(result_);
}

} // namespace

absl::StatusOr<BisectResult> bisect(const BisectOptions &options) {
  return Bisection(options).run();
}

} // namespace epigraph
