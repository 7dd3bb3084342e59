// From a Hugging Face checkpoint folder to a module of the epi dialect. Weights stay where they
// are: the module names them, and every name, shape and type has been checked.
#ifndef EPIGRAPH_COMPILER_IMPORT_IMPORTER_H
#define EPIGRAPH_COMPILER_IMPORT_IMPORTER_H

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "compiler/import/GraphBuilder.h"
#include "compiler/import/ImportSummary.h"

namespace epigraph {

/// Ids that generation starts and ends with, from generation_config.json, else config.json.
struct GenerationIds {
  std::optional<int64_t> bos;
  std::vector<int64_t> eos;
};

struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string architecture; ///< as in config.json: "DeepseekV3ForCausalLM"
  GenerationIds ids;
  ImportSummary summary; ///< of importModel alone
};

/// What `checkpoint` says of its model beside the graph: all of ImportedModel but the module
/// and the summary.
/// Errors as of importModel.
absl::StatusOr<ImportedModel> describeModel(const Checkpoint &checkpoint);

/// Imports the model that `checkpoint` holds. `context` must have the epi, ep, exec and func
/// dialects loaded. Errors name the file and key, or the tensors: InvalidArgument for what is
/// broken, Unimplemented for models that Epigraph does not know.
absl::StatusOr<ImportedModel> importModel(mlir::MLIRContext &context, const Checkpoint &checkpoint,
                                          const ImportLimits &limits);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_IMPORTER_H
