#include "compiler/driver/ReferenceExecutor.h"

#include <algorithm>

#include "mlir/Parser/Parser.h"

#include "codegen/reference/Interpreter.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/driver/LoadRecorder.h"
#include "runtime/artifact/Checkpoint.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/Status.h"
#include "runtime/exec/BatchCheck.h"

using namespace mlir;

namespace epigraph {
namespace {

/// Attribute of arguments and results that says what they are to the runtime.
constexpr llvm::StringLiteral kNameAttrName = "epi.name";
/// Batches of IR whose buffers have no sizes yet.
constexpr int64_t kUnplannedBatchTokens = 1024;
/// Positions of a sequence where nothing says.
constexpr int64_t kDefaultContext = 4096;

StringRef nameOf(DictionaryAttr attributes) {
  auto name = attributes ? attributes.getAs<StringAttr>(kNameAttrName) : StringAttr();
  return name ? name.getValue() : StringRef();
}

bool isPlanned(ModuleOp module) {
  return llvm::any_of(module.getOps<func::FuncOp>(), [](func::FuncOp function) {
    return function->hasAttr(exec::kArenaBytesAttrName);
  });
}

void setLimits(ModuleOp module, int64_t modelContext, std::optional<int32_t> maxBatchTokens,
               ModelInfo &info) {
  auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  int64_t tokens = kUnplannedBatchTokens, sequences = tokens;
  if (limits && isPlanned(module)) {
    tokens = limits.getBatchTokens();
    sequences = limits.getSequences();
  }
  if (maxBatchTokens)
    tokens = std::min<int64_t>(tokens, *maxBatchTokens);
  int64_t context = limits ? limits.getMaxContext() : std::min(modelContext, kDefaultContext);
  info.maxBatchTokens = static_cast<int32_t>(tokens);
  info.maxSequences = static_cast<int32_t>(std::min(sequences, tokens));
  info.maxContext = static_cast<int32_t>(context);
  // Pages cost memory once they are written.
  int64_t pages = info.maxSequences * ((context + kPageTokens - 1) / kPageTokens);
  info.pages = static_cast<int32_t>(std::min<int64_t>(pages, INT32_MAX));
}

absl::StatusOr<ModelInfo> infoOf(ModuleOp module, const ReferenceOptions &options,
                                 const reference::MeshShape &shape) {
  auto model = module->getAttrOfType<epi::ModelAttr>(epi::kModelAttrName);
  if (!model)
    return absl::InvalidArgumentError("the module has no epi.model attribute, so it is no model; "
                                      "was it written by --dump-phases?");
  if (model.getVocab() <= 0 || model.getVocab() > INT32_MAX || model.getHidden() <= 0 ||
      model.getHidden() > INT32_MAX || model.getMaxContext() <= 0)
    return absl::InvalidArgumentError("the sizes of epi.model must be positive 32-bit numbers");
  ModelInfo info;
  info.architecture = model.getArchitecture().getValue().str();
  info.vocab = static_cast<int32_t>(model.getVocab());
  info.hidden = static_cast<int32_t>(model.getHidden());
  info.ranks = shape.ranks();
  for (ep::MeshOp mesh : module.getOps<ep::MeshOp>())
    info.dataParallelAttention = mesh.getAttention() == ep::AttentionMode::Data;
  info.lanes = info.dataParallelAttention ? shape.expert : 1;
  info.hasMtp = module.lookupSymbol<func::FuncOp>("mtp") != nullptr;
  info.hasDecode = module.lookupSymbol<func::FuncOp>("decode") != nullptr;
  setLimits(module, model.getMaxContext(), options.maxBatchTokens, info);
  return info;
}

class ReferenceExecutor : public StepExecutor {
public:
  static absl::StatusOr<std::unique_ptr<StepExecutor>> open(const std::string &ir,
                                                            const std::string &name,
                                                            const std::filesystem::path &model,
                                                            const ReferenceOptions &options);

  const ModelInfo &info() const override { return modelInfo; }
  absl::StatusOr<std::vector<StepResult>>
  step(std::string_view function, absl::Span<const StepBatch> batches, bool wantHidden) override;

private:
  ReferenceExecutor() : diagnostics(&context, nullptr) {
    context.printOpOnDiagnostic(false); // locations name the layer; IR in messages drowns them
    context.loadDialect<epi::EpiDialect, ep::EpDialect, exec::ExecDialect, func::FuncDialect>();
  }

  absl::Status parse(const std::string &ir, const std::string &name);
  absl::StatusOr<reference::RankInput> inputOf(func::FuncOp function, const StepBatch &batch);
  absl::StatusOr<StepResult> resultOf(func::FuncOp function, const reference::RankResult &values,
                                      bool wantHidden);

  MLIRContext context;
  DiagnosticCollector diagnostics;
  OwningOpRef<ModuleOp> module;
  std::optional<Checkpoint> checkpoint;
  std::unique_ptr<reference::WeightSource> weights;
  std::optional<LoadRecorder> recorder;
  std::optional<reference::Interpreter> interpreter;
  reference::InterpreterState state;
  ModelInfo modelInfo;
  std::optional<BatchCheck> batchCheck;
  std::vector<reference::RankResult> results; ///< what the last step's spans point into
};

absl::Status ReferenceExecutor::parse(const std::string &ir, const std::string &name) {
  module = parseSourceString<ModuleOp>(ir, ParserConfig(&context), name);
  return module ? absl::OkStatus()
                : diagnostics.takeErrors(absl::StatusCode::kInvalidArgument, "cannot read " + name);
}

absl::StatusOr<std::unique_ptr<StepExecutor>>
ReferenceExecutor::open(const std::string &ir, const std::string &name,
                        const std::filesystem::path &model, const ReferenceOptions &options) {
  std::unique_ptr<ReferenceExecutor> self(new ReferenceExecutor);
  EPIGRAPH_RETURN_IF_ERROR(self->parse(ir, name));
  if (options.randomWeights) {
    self->weights = std::make_unique<reference::RandomWeights>(*options.randomWeights);
  } else {
    EPIGRAPH_ASSIGN_OR_RETURN(self->checkpoint, Checkpoint::open(model));
    self->weights = std::make_unique<reference::CheckpointWeights>(*self->checkpoint);
  }
  if (options.expertLoad)
    self->recorder.emplace(*options.expertLoad);
  self->interpreter.emplace(
      *self->module, *self->weights,
      reference::InterpreterOptions{.ranks = options.ranks,
                                    .threads = options.threads,
                                    .deadline = options.deadline,
                                    .roundToTypes = options.roundToTypes,
                                    .tracer = self->recorder ? &*self->recorder : nullptr});
  absl::StatusOr<ModelInfo> info = infoOf(*self->module, options, self->interpreter->meshShape());
  if (!info.ok())
    return withContext(info.status(), name);
  self->modelInfo = *info;
  self->batchCheck.emplace(*info);
  return self;
}

static bool takesHidden(func::FuncOp function) {
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (nameOf(function.getArgAttrDict(i)) == "hidden")
      return true;
  return false;
}

absl::StatusOr<reference::RankInput> ReferenceExecutor::inputOf(func::FuncOp function,
                                                                const StepBatch &batch) {
  reference::RankInput input;
  input.step = batch;
  int64_t tokens = static_cast<int64_t>(batch.ids.size());
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    StringRef name = nameOf(function.getArgAttrDict(i));
    if (isa<epi::StepType>(function.getArgumentTypes()[i]))
      continue;
    if (name == "ids")
      input.tensors.emplace_back(reference::Shape{tokens}, batch.ids);
    else if (name == "hidden")
      input.tensors.emplace_back(reference::Shape{tokens, modelInfo.hidden}, batch.hidden);
    else
      return absl::InvalidArgumentError(
          absl::StrCat("argument ", i, " of @", function.getName().str(),
                       " must have the attribute epi.name = \"ids\" or \"hidden\""));
  }
  return input;
}

absl::StatusOr<StepResult> ReferenceExecutor::resultOf(func::FuncOp function,
                                                       const reference::RankResult &values,
                                                       bool wantHidden) {
  StepResult result;
  for (auto [i, value] : llvm::enumerate(values)) {
    StringRef name = nameOf(function.getResultAttrDict(static_cast<unsigned>(i)));
    if (name == "logits")
      result.logits = {value->data(), static_cast<size_t>(value->elements())};
    else if (name == "hidden" && wantHidden)
      result.hidden = value->floatVector();
    else if (name != "hidden" && name != "chosen") // tokens are chosen by the caller here
      return absl::InvalidArgumentError(
          absl::StrCat("result ", i, " of @", function.getName().str(),
                       " must have the attribute epi.name = \"logits\" or \"hidden\""));
  }
  return result;
}

absl::StatusOr<std::vector<StepResult>> ReferenceExecutor::step(std::string_view name,
                                                                absl::Span<const StepBatch> batches,
                                                                bool wantHidden) {
  auto function = module->lookupSymbol<func::FuncOp>({name.data(), name.size()});
  if (!function)
    return absl::InvalidArgumentError(absl::StrCat("the model has no function ", abslView(name)));
  size_t lanes = static_cast<size_t>(modelInfo.lanes);
  if (batches.size() != lanes)
    return absl::InvalidArgumentError(
        absl::StrCat("a step takes ", lanes, " batches here, got ", batches.size()));
  std::vector<reference::RankInput> inputs;
  size_t ranks = static_cast<size_t>(modelInfo.ranks);
  for (const StepBatch &batch : batches) {
    EPIGRAPH_RETURN_IF_ERROR(batchCheck->check(batch, takesHidden(function)));
    EPIGRAPH_ASSIGN_OR_RETURN(reference::RankInput input, inputOf(function, batch));
    inputs.insert(inputs.end(), ranks / lanes, input); // the same for all ranks of a lane
  }
  FailureOr<std::vector<reference::RankResult>> outcome =
      interpreter->run(function.getName(), inputs, state);
  if (failed(outcome))
    return diagnostics.takeErrors(absl::StatusCode::kAborted, "the step failed");
  results = std::move(*outcome);
  std::vector<StepResult> found;
  for (size_t lane = 0; lane < lanes; ++lane) {
    EPIGRAPH_ASSIGN_OR_RETURN(found.emplace_back(),
                              resultOf(function, results[lane * (ranks / lanes)], wantHidden));
  }
  return found;
}

} // namespace

absl::StatusOr<std::unique_ptr<StepExecutor>>
openReferenceExecutor(const std::string &ir, const std::string &name,
                      const std::filesystem::path &model, const ReferenceOptions &options) {
  return ReferenceExecutor::open(ir, name, model, options);
}

} // namespace epigraph
