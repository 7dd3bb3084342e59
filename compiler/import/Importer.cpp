// Reads the configuration, finds the family, and lets it build. Nothing here knows any model.
#include "compiler/import/Importer.h"

#include <algorithm>
#include <unordered_set>

#include "absl/strings/str_join.h"

#include "compiler/import/Family.h"
#include "compiler/import/Quantization.h"
#include "runtime/base/Status.h"

namespace epigraph {

#define EPIGRAPH_FAMILY(NAME) Family family##NAME();
#include "compiler/import/Families.inc"
#undef EPIGRAPH_FAMILY

const std::vector<Family> &families() {
  static const std::vector<Family> kFamilies = {
#define EPIGRAPH_FAMILY(NAME) family##NAME(),
#include "compiler/import/Families.inc"
#undef EPIGRAPH_FAMILY
  };
  return kFamilies;
}

namespace {

/// The family of `config`, by model_type or, failing that, by architecture.
absl::StatusOr<const Family *> findFamily(const ConfigObject &config) {
  std::string modelType = config.text("model_type", "");
  std::vector<std::string> architectures = config.texts("architectures");
  EPIGRAPH_RETURN_IF_ERROR(config.problems().status());
  for (const Family &family : families()) {
    if (modelType == family.modelType)
      return &family;
    for (std::string_view known : family.architectures)
      if (modelType.empty() &&
          std::find(architectures.begin(), architectures.end(), known) != architectures.end())
        return &family;
  }
  std::vector<std::string> known;
  for (const Family &family : families())
    known.emplace_back(family.modelType);
  config.unsupported(config.has("model_type") ? "model_type" : "architectures",
                     absl::StrCat("known models: ", absl::StrJoin(known, ", ")));
  return config.problems().status();
}

/// The element type of activations.
DType readActivationType(const ConfigObject &config) {
  const char *key = config.has("dtype") ? "dtype" : "torch_dtype";
  std::string name = config.text(key, "bfloat16");
  if (name == "bfloat16")
    return DType::BF16;
  if (name != "float32")
    config.unsupported(key, "\"bfloat16\" and \"float32\" are");
  return DType::F32;
}

absl::StatusOr<GenerationIds> readGenerationIds(const std::filesystem::path &directory,
                                                const ConfigObject &config) {
  constexpr IntRange kIds{0, INT32_MAX};
  GenerationIds ids;
  auto read = [&](const ConfigObject &object) {
    if (object.has("bos_token_id"))
      ids.bos = object.integer("bos_token_id", kIds);
    if (object.has("eos_token_id"))
      ids.eos = object.integers("eos_token_id", kIds);
  };
  read(config);
  std::filesystem::path path = directory / "generation_config.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error))
    return ids;
  EPIGRAPH_ASSIGN_OR_RETURN(nlohmann::json json, readConfigFile(path));
  read(ConfigObject(json, path.string(), config.problems()));
  return ids;
}

absl::StatusOr<ImportedModel> describe(const Family &family, const ConfigObject &config,
                                       const std::filesystem::path &directory) {
  ImportedModel model;
  std::vector<std::string> architectures = config.texts("architectures");
  model.architecture =
      architectures.empty() ? std::string(family.modelType) : architectures.front();
  EPIGRAPH_ASSIGN_OR_RETURN(model.ids, readGenerationIds(directory, config));
  return model;
}

/// Whether a setting is of training or of other programs, so that leaving it unread is right.
bool cannotMatter(std::string_view key) {
  static const std::unordered_set<std::string_view> kKeys = {
      "_name_or_path",
      "add_cross_attention",
      "architectures",
      "attention_dropout",
      "auto_map",
      "aux_loss_alpha",
      "cross_attention_hidden_size",
      "embd_pdrop",
      "ep_size",
      "hidden_dropout",
      "id2label",
      "initializer_range",
      "is_decoder",
      "is_encoder_decoder",
      "label2id",
      "output_attentions",
      "output_hidden_states",
      "output_router_logits",
      "pad_token_id",
      "pretraining_tp",
      "quantization_config.modules_to_not_convert", // The tensors' types say it.
      "resid_pdrop",
      "return_dict",
      "router_aux_loss_coef",
      "router_jitter_noise",
      "seq_aux",
      "transformers_version",
      "unk_token_id",
      "use_cache",
  };
  return kKeys.count(key) != 0;
}

ImportSummary summarize(const Family &family, const ConfigObject &config,
                        const WeightLedger &ledger) {
  ImportSummary summary;
  summary.family = family.modelType;
  summary.settings = config.problems().settings();
  summary.defaults = config.problems().defaults();
  summary.unread = config.unread();
  std::erase_if(summary.unread, cannotMatter);
  ledger.summarize(summary);
  return summary;
}

} // namespace

absl::StatusOr<ImportedModel> describeModel(const Checkpoint &checkpoint) {
  const std::filesystem::path &path = checkpoint.configFile();
  EPIGRAPH_ASSIGN_OR_RETURN(nlohmann::json json, readConfigFile(path));
  ConfigProblems problems;
  ConfigObject config(json, path.string(), problems);
  EPIGRAPH_ASSIGN_OR_RETURN(const Family *family, findFamily(config));
  EPIGRAPH_ASSIGN_OR_RETURN(ImportedModel model, describe(*family, config, checkpoint.directory()));
  EPIGRAPH_RETURN_IF_ERROR(problems.status());
  return model;
}

absl::StatusOr<ImportedModel> importModel(mlir::MLIRContext &context, const Checkpoint &checkpoint,
                                          const ImportLimits &limits) {
  const std::filesystem::path &path = checkpoint.configFile();
  EPIGRAPH_ASSIGN_OR_RETURN(nlohmann::json json, readConfigFile(path));
  ConfigProblems problems;
  ConfigObject config(json, path.string(), problems);
  EPIGRAPH_ASSIGN_OR_RETURN(const Family *family, findFamily(config));

  EPIGRAPH_ASSIGN_OR_RETURN(ImportedModel model, describe(*family, config, checkpoint.directory()));
  const bool hasFp8Blocks = readFp8Blocks(config);
  DType activation = readActivationType(config);

  GraphBuilder builder(context, family->modelType, checkpoint, limits, {activation, hasFp8Blocks});
  EPIGRAPH_RETURN_IF_ERROR(family->build(config, builder));
  EPIGRAPH_RETURN_IF_ERROR(problems.status());
  EPIGRAPH_ASSIGN_OR_RETURN(model.module, builder.finish());
  model.summary = summarize(*family, config, builder.ledger());
  return model;
}

} // namespace epigraph
