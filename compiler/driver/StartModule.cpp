// What tells one phase's IR from another's: a mesh comes with partition, kernels with schedule, an
// arena with plan-memory, tilings with codegen. Phases between import and partition cannot be told
// apart, and need not be: each takes what any of the others leaves.
#include "compiler/driver/StartModule.h"

#include "absl/strings/str_join.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include "compiler/driver/WeightLayout.h"
#include "dialects/exec/Exec.h"
#include "passes/partition/PendingExperts.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

using namespace mlir;

namespace epigraph {
namespace {

/// The IR of the largest models has a few MB.
constexpr uint64_t kMaxIrBytes = uint64_t{1} << 30;
/// Complaints about weights that one message names.
constexpr size_t kMaxProblems = 5;

absl::Status notAModel(const std::string &problem) {
  return withCode(ErrorCode::NotAModel,
                  absl::InvalidArgumentError(absl::StrCat(
                      problem, "; start from a file that --dump-phases or --stop-after wrote")));
}

bool isPositive32(int64_t value) { return value > 0 && value <= INT32_MAX; }

/// The attributes and functions that every phase after import relies on.
absl::Status checkModel(ModuleOp module) {
  auto model = module->getAttrOfType<epi::ModelAttr>(epi::kModelAttrName);
  auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  if (!model || !limits)
    return notAModel(absl::StrCat("the module has no ", model ? "exec.limits" : "epi.model",
                                  " attribute, so it is no model"));
  for (int64_t size :
       {model.getVocab(), model.getHidden(), model.getLayers(), model.getMaxContext(),
        limits.getBatchTokens(), limits.getSequences(), limits.getMaxContext()})
    if (!isPositive32(size))
      return notAModel("the sizes of epi.model and exec.limits must be positive 32-bit numbers");
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main || main.isExternal())
    return notAModel("the module has no function @main with a body");
  return absl::OkStatus();
}

/// The last phase whose mark the IR bears; Import if it bears none.
struct Progress {
  Phase done = Phase::Import;
  llvm::StringRef mark = "no ep.mesh";
};

Progress progressOf(ModuleOp module) {
  Progress progress;
  if (!module.getOps<ep::MeshOp>().empty())
    progress = {Phase::Partition, "ep.mesh and no exec.kernel"};
  for (ep::MeshOp mesh : module.getOps<ep::MeshOp>())
    if (mesh->hasAttr(kPendingExpertsAttrName))
      progress = {Phase::Fuse, "an ep.mesh without experts"};
  for (exec::KernelOp kernel : module.getOps<exec::KernelOp>())
    progress = kernel.getTilingAttr() ? Progress{Phase::Codegen, "kernels with a tiling"}
                                      : Progress{Phase::Schedule, "exec.kernel and no arena"};
  if (progress.done == Phase::Schedule)
    for (auto function : module.getOps<func::FuncOp>())
      if (function->hasAttr(exec::kArenaBytesAttrName))
        progress = {Phase::PlanMemory, "an arena and kernels without a tiling"};
  return progress;
}

absl::Status checkPhase(ModuleOp module, Phase start) {
  Progress progress = progressOf(module);
  // Before partition any of several phases may come next; later only one.
  bool early = progress.done < Phase::Partition;
  Phase next = static_cast<Phase>(static_cast<int>(progress.done) + 1);
  if (early ? start > progress.done && start <= Phase::Partition : start == next)
    return absl::OkStatus();
  std::string expected(phaseName(next));
  if (early)
    expected = absl::StrCat("one from ", expected, " to partition");
  return withCode(ErrorCode::WrongStartPhase,
                  absl::InvalidArgumentError(absl::StrCat(
                      "the IR has ", progress.mark.str(), ", so --start-phase must be ", expected,
                      ", not ", std::string(phaseName(start)))));
}

absl::Status mismatch(const std::string &found, const std::string &flag) {
  return withCode(ErrorCode::WrongMesh, absl::InvalidArgumentError(absl::StrCat(
                                            "the IR is for ", found, "; give ", flag)));
}

/// What earlier phases fixed and this compilation's flags repeat.
absl::Status checkFlags(ModuleOp module, const CompileOptions &options) {
  for (ep::MeshOp mesh : module.getOps<ep::MeshOp>()) {
    if (static_cast<int64_t>(mesh.getExpert()) != options.ranks)
      return mismatch(absl::StrCat(mesh.getExpert(), " ranks"),
                      absl::StrCat("--ep ", mesh.getExpert()));
    if (static_cast<int64_t>(mesh.getTensor()) != options.tensor)
      return mismatch(absl::StrCat("groups of ", mesh.getTensor(), " ranks"),
                      absl::StrCat("--tp ", mesh.getTensor()));
    bool data = mesh.getAttention() == ep::AttentionMode::Data;
    if (data != (options.attention == AttentionSharing::Data))
      return mismatch(absl::StrCat(data ? "data" : "replicated", " attention"),
                      absl::StrCat("--attention ", data ? "data" : "replicated"));
  }
  if (options.startPhase <= Phase::Quantize)
    return absl::OkStatus();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  bool bfloat16 = llvm::any_of(main.getResultTypes(), [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getElementType().isBF16();
  });
  if (bfloat16 && options.compute == ComputeType::Float32)
    return mismatch("bf16", "--compute bf16");
  return absl::OkStatus();
}

/// Compares the weights that IR names with those of a checkpoint.
class WeightCheck {
public:
  explicit WeightCheck(const Checkpoint &checkpoint) : checkpoint_(checkpoint) {}

  void check(epi::WeightOp op) {
    auto type = cast<RankedTensorType>(op.getType());
    compare(op.getName().str(), type.getShape(), type.getElementType());
  }

  /// A stack ends at its first missing member: its length is as untrusted as its name.
  void check(epi::WeightStackOp op) {
    auto type = cast<RankedTensorType>(op.getType());
    for (int64_t i = 0; i < type.getDimSize(0); ++i)
      if (!compare(op.getName(i), type.getShape().drop_front(), type.getElementType()))
        return;
  }

  absl::Status status() const {
    if (problems_.empty())
      return absl::OkStatus();
    llvm::ArrayRef<std::string> shown(problems_);
    std::string more = shown.size() > kMaxProblems
                           ? absl::StrCat("\n  and ", shown.size() - kMaxProblems, " more")
                           : "";
    return withCode(
        ErrorCode::WrongWeights,
        absl::InvalidArgumentError(absl::StrCat(
            "the IR names weights that the checkpoint does not have as they are; give the "
            "checkpoint that it was imported from:\n  ",
            absl::StrJoin(shown.take_front(kMaxProblems), "\n  "), more)));
  }

private:
  bool compare(const std::string &name, llvm::ArrayRef<int64_t> shape, Type element) {
    if (!checkpoint_.hasTensors())
      return true; // Whatever the IR names can be made.
    const StoredTensor *tensor = checkpoint_.find(name);
    if (!tensor) {
      problems_.push_back(name + " is missing");
      return false;
    }
    DType expected = dtypeOf(element);
    bool equal = tensor->dtype == expected && tensor->shape.size() == shape.size();
    for (size_t i = 0; equal && i < shape.size(); ++i)
      equal = tensor->shape[i] == static_cast<uint64_t>(shape[i]);
    if (!equal)
      problems_.push_back(absl::StrCat(name, " is ", std::string(dtypeName(tensor->dtype)), " [",
                                       absl::StrJoin(tensor->shape, ", "), "]; the IR says ",
                                       std::string(dtypeName(expected)), " [",
                                       absl::StrJoin(shape.begin(), shape.end(), ", "), "]"));
    return equal;
  }

  const Checkpoint &checkpoint_;
  std::vector<std::string> problems_;
};

absl::Status checkWeights(ModuleOp module, const Checkpoint &checkpoint) {
  WeightCheck check(checkpoint);
  module.walk([&](Operation *op) {
    if (auto weight = dyn_cast<epi::WeightOp>(op))
      check.check(weight);
    else if (auto stack = dyn_cast<epi::WeightStackOp>(op))
      check.check(stack);
  });
  return check.status();
}

} // namespace

absl::StatusOr<ImportedModel> readStartModule(MLIRContext &context,
                                              DiagnosticCollector &diagnostics,
                                              const CompileOptions &options,
                                              const Checkpoint &checkpoint) {
  const std::string name = options.startFrom.string();
  EPIGRAPH_ASSIGN_OR_RETURN(std::string text, readFile(options.startFrom, kMaxIrBytes));
  EPIGRAPH_ASSIGN_OR_RETURN(ImportedModel model, describeModel(checkpoint));
  model.module = parseSourceString<ModuleOp>(text, ParserConfig(&context), name);
  if (!model.module)
    return withCode(
        ErrorCode::UnreadableIr,
        diagnostics.takeErrors(absl::StatusCode::kInvalidArgument, "cannot read " + name));
  EPIGRAPH_RETURN_IF_ERROR(withContext(checkModel(*model.module), name));
  EPIGRAPH_RETURN_IF_ERROR(withContext(checkPhase(*model.module, options.startPhase), name));
  EPIGRAPH_RETURN_IF_ERROR(withContext(checkFlags(*model.module, options), name));
  EPIGRAPH_RETURN_IF_ERROR(withContext(checkWeights(*model.module, checkpoint), name));
  return model;
}

} // namespace epigraph
