// What an import made of a checkpoint: which settings it read and which it did not, and what became
// of every tensor. For people who ask whether the graph is the model that they mean.
#ifndef EPIGRAPH_COMPILER_IMPORT_IMPORTSUMMARY_H
#define EPIGRAPH_COMPILER_IMPORT_IMPORTSUMMARY_H

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace epigraph {

struct ImportSummary {
  std::string family; ///< whose file in compiler/import/families built the graph: "deepseek_v3"
  /// Settings of config.json and generation_config.json that were read, by key
  /// ("rope_scaling.type") in order of their first use, with their values as JSON.
  std::vector<std::pair<std::string, std::string>> settings;
  /// Settings that the files leave out, for which the family has a default.
  std::vector<std::string> defaults;
  /// Settings of config.json that nothing read, without those that cannot matter here (of training,
  /// of other programs).
  std::vector<std::string> unread;
  uint64_t tensors = 0; ///< that the graph uses
  uint64_t tensorBytes = 0;
  std::vector<std::string> shared;  ///< used in several places, as tied embeddings are
  std::vector<std::string> ignored; ///< in the checkpoint, known, and not needed
};

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_IMPORTSUMMARY_H
