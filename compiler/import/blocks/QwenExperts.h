// Which layers of a Qwen mixture of experts have experts, and how they are chosen.
#ifndef EPIGRAPH_COMPILER_IMPORT_BLOCKS_QWENEXPERTS_H
#define EPIGRAPH_COMPILER_IMPORT_BLOCKS_QWENEXPERTS_H

#include "compiler/import/blocks/Experts.h"

namespace epigraph {

struct QwenExperts {
  Router router;
  int64_t inner;
  int64_t layerStride;
  std::vector<int64_t> denseLayers; ///< these have none in any case

  bool inLayer(int64_t layer) const;
};

/// Reads the settings of a model of `layers` layers.
QwenExperts readQwenExperts(const ConfigObject &config, int64_t layers);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_IMPORT_BLOCKS_QWENEXPERTS_H
