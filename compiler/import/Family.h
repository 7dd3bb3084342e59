// A model family: the code that knows how one kind of checkpoint is built. Each is one file in
// families/, which defines `familyNAME()`, and its NAME in CMakeLists.txt.
#ifndef EPIGRAPH_COMPILER_IMPORT_FAMILY_H
#define EPIGRAPH_COMPILER_IMPORT_FAMILY_H

#include <string_view>
#include <vector>

#include "compiler/import/Config.h"
#include "compiler/import/GraphBuilder.h"

namespace epigraph {

struct Family {
  std::string_view modelType; ///< config.json's model_type, and the module's name: "deepseek_v3"
  std::vector<std::string_view> architectures; ///< what config.json's architectures may say
  /// Builds all functions. Records what is wrong with `config` in its problems; other errors are
  /// returned.
  absl::Status (*build)(const ConfigObject &config, GraphBuilder &builder);
};

/// All families, in the order of CMakeLists.txt.
const std::vector<Family> &families();

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_FAMILY_H
