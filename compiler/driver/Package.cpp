#include "compiler/driver/Package.h"

#include <algorithm>

#include "compiler/driver/PackagedTokenizer.h"
#include "compiler/driver/PlanWriter.h"
#include "compiler/driver/RandomWeightPlan.h"
#include "compiler/driver/StagedArtifact.h"
#include "compiler/driver/WeightPacker.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"
#include "llvm/Support/raw_ostream.h"

namespace epigraph {
namespace {

/// Tokenizers of large vocabularies have about 10 MB.
constexpr uint64_t kMaxTokenizerBytes = 512ull << 20;

void addWeightBytes(llvm::ArrayRef<StoredWeight> weights, Report &report) {
  report.rankWeightBytes.assign(static_cast<size_t>(report.ranks), 0);
  for (const StoredWeight &weight : weights) {
    if (weight.shared)
      report.sharedWeightBytes += weight.bytes();
    else
      for (uint64_t &bytes : report.rankWeightBytes)
        bytes += weight.bytes();
  }
}

/// What a machine must have to run the kernels.
std::vector<std::string> featuresOf(const Target &target) {
  if (target.cuda)
    return {target.cuda->architecture};
  std::vector<std::string> features = target.cpu.requiredFeatures;
  std::sort(features.begin(), features.end());
  return features;
}

Manifest describe(const ImportedModel &model, const Target &target, const Report &report) {
  mlir::ModuleOp module = *model.module;
  auto shape = module->getAttrOfType<epi::ModelAttr>(epi::kModelAttrName);
  auto limits = module->getAttrOfType<exec::LimitsAttr>(exec::kLimitsAttrName);
  Manifest manifest;
  manifest.generator = "epigraph " EPIGRAPH_VERSION;
  manifest.model.architecture = model.architecture;
  manifest.model.vocab = static_cast<uint32_t>(shape.getVocab());
  manifest.model.hidden = static_cast<uint32_t>(shape.getHidden());
  manifest.model.layers = static_cast<uint32_t>(shape.getLayers());
  manifest.model.context = static_cast<uint32_t>(shape.getMaxContext());
  manifest.model.hasMtp = module.lookupSymbol<mlir::func::FuncOp>("mtp") != nullptr;
  manifest.target.name = target.name();
  manifest.target.features = featuresOf(target);
  manifest.compute = report.compute;
  manifest.ranks = static_cast<uint32_t>(report.ranks);
  manifest.attention = report.attention;
  manifest.limits = {
      static_cast<uint32_t>(limits.getBatchTokens()), static_cast<uint32_t>(limits.getSequences()),
      static_cast<uint32_t>(limits.getMaxContext()), static_cast<uint32_t>(kPageTokens)};
  manifest.memory = {report.arenaBytes, report.arenaNaiveBytes, report.rankWeightBytes,
                     report.sharedWeightBytes, report.cacheBytesPerToken};
  if (model.ids.bos)
    manifest.tokens.bos = static_cast<uint32_t>(*model.ids.bos);
  manifest.tokens.eos.assign(model.ids.eos.begin(), model.ids.eos.end());
  manifest.summary = {report.fusion.ops, report.fusion.fusedOps, report.fusion.kernels};
  return manifest;
}

std::string_view textOf(const std::vector<uint8_t> &bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

/// With the location of every operation.
std::string moduleText(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, mlir::OpPrintingFlags().enableDebugInfo(true, /*prettyForm=*/false));
  return text + "\n";
}

absl::Status copyTokenizer(const Checkpoint &checkpoint, StagedArtifact &artifact) {
  std::filesystem::path path = checkpoint.directory() / kTokenizerFile;
  std::error_code error;
  if (!std::filesystem::exists(path, error))
    return absl::OkStatus(); // Such an artifact runs on token ids.
  EPIGRAPH_ASSIGN_OR_RETURN(std::string text, readFile(path, kMaxTokenizerBytes));
  std::string config;
  path = checkpoint.directory() / "tokenizer_config.json";
  if (std::filesystem::exists(path, error)) {
    EPIGRAPH_ASSIGN_OR_RETURN(config, readFile(path, kMaxTokenizerBytes));
  }
  EPIGRAPH_ASSIGN_OR_RETURN(text, packagedTokenizer(text, config));
  return artifact.addFile(kTokenizerFile, text);
}

/// Writes the weights that the runtime does not make by itself.
absl::Status packAll(mlir::ModuleOp module, std::vector<StoredWeight> weights,
                     const Checkpoint &checkpoint, const std::filesystem::path &directory,
                     const PackOptions &packing) {
  const std::optional<uint64_t> seed = randomWeightsOf(module);
  if (!seed) {
    reference::CheckpointWeights source(checkpoint);
    return packWeights(weights, source, directory, packing);
  }
  std::erase_if(weights,
                [](const StoredWeight &weight) { return randomWeight(weight) != nullptr; });
  reference::RandomWeights source(*seed);
  return packWeights(weights, source, directory, packing);
}

} // namespace

absl::Status packageArtifact(const CompileOptions &options, const ImportedModel &model,
                             const Checkpoint &checkpoint, const Target &target,
                             const CompiledKernels &kernels, Report &report) {
  auto plan = writePlan(*model.module, kernels.device ? &*kernels.device : nullptr);
  if (failed(plan))
    return absl::InternalError("the plan cannot be written");
  report.arenaBytes = plan->sizes.arenaBytes;
  report.arenaNaiveBytes = plan->sizes.arenaNaiveBytes;
  report.cacheBytesPerToken = plan->sizes.cacheBytesPerToken;
  std::vector<StoredWeight> weights = collectStoredWeights(*model.module);
  addWeightBytes(weights, report);

  EPIGRAPH_ASSIGN_OR_RETURN(StagedArtifact artifact, StagedArtifact::create(options.output));
  EPIGRAPH_RETURN_IF_ERROR(artifact.addFile(kPlanFile, textOf(plan->bytes)));
  for (const auto &[name, bytes] : kernels.files)
    EPIGRAPH_RETURN_IF_ERROR(artifact.addFile(name, bytes));
  EPIGRAPH_RETURN_IF_ERROR(copyTokenizer(checkpoint, artifact));
  if (options.keepIr)
    EPIGRAPH_RETURN_IF_ERROR(artifact.addFile(kIrFile, moduleText(*model.module)));
  PackOptions packing;
  packing.mesh = reference::MeshShape::of(*model.module, {});
  packing.cancelled = options.cancelled;
  if (options.progress)
    packing.progress = [&](double share) { options.progress(Phase::Pack, share); };
  EPIGRAPH_RETURN_IF_ERROR(
      packAll(*model.module, std::move(weights), checkpoint, artifact.directory(), packing));
  Manifest manifest = describe(model, target, report);
  EPIGRAPH_RETURN_IF_ERROR(artifact.commit(manifest));
  return absl::OkStatus();
}

} // namespace epigraph
